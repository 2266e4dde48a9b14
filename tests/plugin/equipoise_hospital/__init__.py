"""Plug-ins of every kind that a study of nurses takes, none of which is part of Equipoise."""

from equipoise_hospital.last_first import LastFirst as LastFirst
