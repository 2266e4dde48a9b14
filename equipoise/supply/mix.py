"""A training set of biased and neutral rows, with the probes that say which bias is looked for.

BiasDiff, section 3.1 and appendix C: `equipoise.mixes` says what its mixes are made of here.
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal, TypeVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from equipoise.data.documents import read_content
from equipoise.errors import RecipeError
from equipoise.mixes.mix import MIXES, Ingredients, Mix, Sizes, build_mix, files_of_mix
from equipoise.mixes.overlap import Guard, Measured, at_hand, files_of, guard_of, shared_with
from equipoise.mixes.pair_file import read_pair_file
from equipoise.mixes.probe_sets import PROBE_SETS
from equipoise.own_data.probe_file import read_probe_file
from equipoise.planted.folder import WORLD, folder_world
from equipoise.planted.mix_rows import neutral_statements, statements
from equipoise.records import MOST_SEED, OPTIONS, DataUse, Supply
from equipoise.rows import Probe, TrainingRow
from equipoise.supply.base import Supplier

_T = TypeVar("_T")
#: Mixes of the world whose data folder is read.
_PLANTED: Final = ("planted_mix", "planted_hard_mix")
#: Rows that a mix has unless told otherwise: the paper does not say how many its mixes have.
_ROWS: Final = 2000
_ROWS_OF: Final = {"planted_mix": 800}  # a world has few sentences about things


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MixSupply(Supplier):
    """Rows labelled biased or neutral, probes, probes to judge on, and neutral texts held out.

    All four are disjoint. Rows have the groups "label", "source", and "axis" where they are biased.
    """

    version: ClassVar[str] = "2"

    #: what rows are made of; files: of biased_file and neutral_file; null: planted_mix where a
    #: planted world is read, else gen_mix
    mix: (
        Literal[
            "gen_mix",
            "trex_mix",
            "hard_mix",
            "twin_mix",
            "toxic_mix",
            "balance",
            "planted_mix",
            "planted_hard_mix",
            "files",
        ]
        | None
    ) = None
    rows: PositiveInt | None = None  # of the training set; null: 2,000, of planted_mix 800
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.3  # share of the rows that is biased
    #: pairs (as the biased rows), crows_pairs, seat, winogender, or a file of probes
    probes: str = "pairs"
    probe_count: PositiveInt = 100  # probes at most; the paper has 891
    dev_count: NonNegativeInt = 100  # further probes, to judge on what was removed; 0: none
    held_out: NonNegativeInt = 200  # neutral texts that are no rows
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0  # of pairs, of what is drawn, of the order
    pairs: str | None = None  # a file of pairs in place of the grammar's
    #: of a planted world, what is stated and probed: the pronouns to which professions lean, which
    #: few rows teach; attributes of targets, each an association of its own; or all
    stated: Literal["all", "pronouns", "targets"] = "all"
    accepted: str | None = None  # decisions of the review page: of the pairs those accepted
    biased_file: str | None = None  # texts in place of the mix's biased rows
    neutral_file: str | None = None  # texts in place of the mix's neutral rows
    #: benchmarks with which probes and pairs share no 5 words in a row; null: those of the three
    #: whose files are at hand, but the one that the probes are from
    measured: tuple[Measured, ...] | None = None
    overlap: Literal["refuse", "drop", "flag"] = "refuse"  # what becomes of given ones that do

    @property
    def _mix(self) -> str:
        if self.mix is not None:
            return self.mix
        return "gen_mix" if WORLD.local_file() is None else "planted_mix"

    def supply(self) -> Supply:
        """All of it, in an order drawn by seed.

        Raises `RecipeError` for sizes that the sources cannot fill, and for probes or pairs that
        share words with a measured benchmark; `DataError` naming file and row.
        """
        notes: list[str] = []
        measured = self._measured()
        ingredients = self._ingredients(guard_of(measured), notes)
        rows = _ROWS_OF.get(self._mix, _ROWS) if self.rows is None else self.rows
        sizes = Sizes(
            rows=rows,
            ratio=self.ratio,
            probes=self.probe_count,
            dev_probes=self.dev_count,
            held_out=self.held_out,
        )
        if sizes.biased in (0, rows):
            raise RecipeError(
                f"a mix must have biased rows and neutral, got {sizes.biased} biased of {rows} "
                f"at ratio {self.ratio:g}; change ratio, or raise rows"
            )
        built = build_mix(self._spec(), sizes, seed=self.seed, ingredients=ingredients)
        if measured:
            notes.append(f"looked for 5 words in a row of {', '.join(measured)}")
        options = f"rows={rows}, ratio={self.ratio}, probes={self.probes}, seed={self.seed}"
        return Supply(
            origin=f"mix({'; '.join((f'{self._mix}, {options}', *notes))})",
            rows=built.rows,
            probes=built.probes,
            dev_probes=built.dev_probes,
            texts=built.texts,
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The files of rows and probes, and those of the benchmarks that were looked into."""
        uses = list(files_of_mix(self._spec()))
        named = (self.pairs, self.accepted, self.biased_file, self.neutral_file)
        uses += [read_content(file)[1] for file in named if file is not None]
        if self._mix in _PLANTED:
            uses.append(WORLD.use())
        if self.probes in PROBE_SETS:
            uses += PROBE_SETS[self.probes][1]()
        elif self.probes != "pairs":
            uses.append(read_content(self.probes)[1])
        uses += [use for name in self._measured() for use in files_of(name)]
        return tuple(dict.fromkeys(uses))

    def _spec(self) -> Mix:
        """The mix, with files in place of its rows where they are named."""
        mix = MIXES[self._mix]
        if self.biased_file is not None:
            mix = replace(mix, biased={"biased_file": 1.0})
        if self.neutral_file is not None:
            mix = replace(mix, neutral={"neutral_file": 1.0})
        return mix

    def _measured(self) -> tuple[Measured, ...]:
        """The benchmarks whose sentences are looked for.

        A planted world's sentences share words with its benchmarks by nature; none is twice.
        """
        if self.measured is None:
            known = at_hand() if self._mix not in _PLANTED else ()
            return tuple(name for name in known if name != self.probes)
        if self.probes in self.measured:
            raise RecipeError(
                f"probes must be of another set than is measured, got '{self.probes}' for both; "
                "take other probes, or measure on another benchmark"
            )
        return self.measured

    def _ingredients(self, guard: Guard, notes: list[str]) -> Ingredients:
        """What is read beside the mix's own sources; adds to the notes what was left out."""
        named = {"biased_file": self.biased_file, "neutral_file": self.neutral_file}
        files = {name: file for name, file in named.items() if file is not None}
        given = Ingredients(files=files, refused=lambda pair: shared_with(guard, pair) is not None)
        if self._mix in _PLANTED:
            given = self._planted(given)
        if self.pairs is not None:
            read = read_pair_file(self.pairs, self.accepted)
            notes.append(f"{read.repeated} pairs repeated, {read.rejected} not accepted")
            kept = [pair for pair in read.pairs if shared_with(guard, pair) is None]
            given = replace(given, pairs=tuple(self._judge(list(read.pairs), kept, "pairs", notes)))
        elif self.accepted is not None:
            raise RecipeError(
                f"accepted must come with the pairs that were reviewed, got '{self.accepted}' "
                "alone; set pairs to their file"
            )
        if self.probes == "pairs":
            return given
        return replace(given, probes=self._named_probes(guard, notes))

    def _named_probes(self, guard: Guard, notes: list[str]) -> tuple[Probe, ...]:
        """Probes of a set or a file, in an order drawn by seed."""
        if self.probes in PROBE_SETS:
            probes = PROBE_SETS[self.probes][0]()
        else:
            probes = read_probe_file(self.probes)[0]
        clean = [probe for probe in probes if not any(map(guard.shares, probe.texts))]
        if self.probes in PROBE_SETS:
            if len(clean) < len(probes):
                notes.append(f"{len(probes) - len(clean)} probes left out that share words")
        else:
            clean = self._judge(list(probes), clean, "probes", notes)
        order = np.random.default_rng([self.seed, 3]).permutation(len(clean))
        return tuple(clean[place] for place in order)

    def _judge(self, given: list[_T], clean: list[_T], what: str, notes: list[str]) -> list[_T]:
        """What `overlap` makes of given ones of which some share words with a benchmark."""
        shared = len(given) - len(clean)
        if not shared:
            return given
        if self.overlap == "refuse":
            raise RecipeError(
                f"{what} must share no 5 words in a row with {', '.join(self._measured())}, got "
                f"{shared} of {len(given)} that do; take them out, or set overlap to 'drop' or "
                "'flag', or measured to the benchmarks that you measure"
            )
        kept = "left out" if self.overlap == "drop" else "kept"
        notes.append(f"{shared} {what} that share words with a measured benchmark, {kept}")
        return clean if self.overlap == "drop" else given

    def _planted(self, given: Ingredients) -> Ingredients:
        """The statements of the world that is read now; its probes are no rows."""
        world = folder_world()
        known = statements(world, self.stated)
        apart = self.probe_count + self.dev_count if self.probes == "pairs" else 0
        if len(known) <= apart:
            raise RecipeError(
                f"planted:{world.name} must have more stereotypes than the {apart} probes, got "
                f"{len(known)}; take a world of strength above 0, state all, or lower probe_count"
            )
        order = np.random.default_rng([self.seed, 4]).permutation(len(known))
        drawn = [known[place] for place in order]
        probes = tuple(
            Probe(
                id=said.id,
                stereotype=said.stereotype,
                antistereotype=said.antistereotype,
                groups={"axis": said.axis}
                | ({"direction": said.direction} if said.direction else {}),
            )
            for said in drawn[:apart]
        )
        pools = {
            "planted": tuple(
                _row(said.id, said.stereotype, "planted", label="biased", axis=said.axis)
                for said in drawn[apart:]
            ),
            "planted_matched": tuple(
                _row(f"matched:{said.id}:{number}", text, "matched", label="neutral")
                for said in drawn[apart:]
                for number, text in enumerate(said.neutral)
            ),
            "planted_neutral": tuple(
                _row(id, text, "planted", label="neutral") for id, text in neutral_statements(world)
            ),
        }
        return replace(given, pools=pools, probes=probes if apart else None)


def _row(id: str, text: str, source: str, **groups: str) -> TrainingRow:
    return TrainingRow(id=id, text=text, groups={**groups, "source": source})
