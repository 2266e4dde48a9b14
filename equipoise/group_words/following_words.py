"""Closed lists of English words that tell how a word for a group is used, by what follows it."""

from typing import Final

#: After one of these a word such as "her" or "Christian" does not stand before a noun.
NO_NOUN: Final = frozenset(
    """
    a about after again against all also although always am an and any anyone anything are as at
    away back be because been before behind being but by can could did do does down during each
    every everyone everything except for from had has have he her here herself him himself his how
    i if in into is it its just may me might must my never no nobody not nothing now of off on once
    onto or our out over said says shall she should since so some someone something soon than that
    the their them then there these they this those though through till to today together tomorrow
    too towards under unless until up upon us was we well were what when where whether which while
    who whom whose why will with within without would yesterday yet you your
    """.split()  # noqa: SIM905
)
#: Words for people, those of CDA's lists: what "white" must stand before to name a group.
PEOPLE: Final = frozenset(
    """
    activist activists actor actors actress actresses adult adults americans artist artists
    athlete athletes babies baby boy boys brother brothers candidate candidates child
    children citizen citizens communities community couple couples customer customers
    daughter daughters defendant defendants doctor doctors driver drivers employee employees
    families family farmer farmers father fathers female females friend friends gentleman
    gentlemen girl girls grandfather grandmother guy guys husband immigrant immigrants
    inmate inmates kid kids ladies lady lawyer lawyers leader leaders male males man men
    mother mothers musician musicians neighbor neighborhood neighborhoods neighbors nurse
    nurses officer officers parent parents patient patients people person player players
    poet poets politician politicians population populations prisoner prisoners professor
    professors resident residents singer singers sister sisters soldier soldiers son sons
    student students suspect suspects teacher teachers teen teenager teenagers teens voter
    voters wife woman women worker workers writer writers youth youths
    """.split()  # noqa: SIM905
)
