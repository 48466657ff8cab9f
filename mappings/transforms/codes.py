"""Words that stand for something: codes of countries, units of rates, yes and no, telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from mappings.transforms.expected import expected, expected_word, listed
from mappings.values import Plain

_ALPHA_3 = """
    ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT AZEAZ BDIBI BELBE BENBJ BESBQ
    BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO BRABR BRBBB BRNBN BTNBT BVTBV BWABW CAFCF CANCA CCKCC CHECH
    CHLCL CHNCN CIVCI CMRCM CODCD COGCG COKCK COLCO COMKM CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK
    DOMDO DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB GEOGE GGYGG GHAGH GIBGI
    GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN
    IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB
    LBRLR LBYLY LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH MKDMK MLIML MLTMT
    MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA NCLNC NERNE NFKNF NGANG NICNI NIUNU NLDNL NORNO
    NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE PHLPH PLWPW PNGPG POLPL PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO
    RUSRU RWARW SAUSA SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR SVKSK SVNSI
    SWESE SWZSZ SXMSX SYCSC SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG
    UKRUA UMIUM URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW
"""
_ALPHA_2_OF: Mapping[str, str] = MappingProxyType({pair[:3]: pair[3:] for pair in _ALPHA_3.split()})
ISO_3166_ALPHA_2 = frozenset(_ALPHA_2_OF.values())

_UNIT_WORDS = {
    "hour": "hour hours hourly hr hrs h per-hour",
    "day": "day days daily d per-day",
    "month": "month months monthly mo per-month",
    "fixed": "fixed fixed-price fixed-fee flat flat-fee flat-rate lump-sum",
}
_UNITS: Mapping[str, str] = MappingProxyType({word: unit for unit, written in _UNIT_WORDS.items() for word in written.split()})

_SPACES_IN_NUMBERS = re.compile(r"[ \u00a0\u202f().\-\u2010\u2011/]")
_E_164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRUNK_PREFIX = re.compile(r"\(\s*0")


def boolean(value: str, *, true: list[str], false: list[str]) -> bool:
    """The boolean that the source writes as one of the words ``true`` or ``false``."""
    if value in true:
        return True
    return False if value in false else expected(f"one of {listed([*true, *false])}")


def bool_text(value: bool, *, true: str = "true", false: str = "false") -> str:
    """A boolean as the word that the target uses."""
    return true if value else false


def map_values(value: str, *, table: dict[str, Plain]) -> object:
    """The entry of ``table`` for the value; a value without an entry is refused."""
    return table[value] if value in table else expected_word(table, value)


def country_alpha2(value: str, *, written: Literal["alpha2", "alpha3", "either"] = "alpha2") -> str:
    """An ISO 3166-1 alpha-2 country code in upper case, from that code or its alpha-3 form, as ``written`` says.

    Names and other codes are refused, not guessed (``UK`` is not ``GB``).
    """
    code = value.strip().upper()
    if written != "alpha2" and code in _ALPHA_2_OF:
        return _ALPHA_2_OF[code]
    if written != "alpha3" and code in ISO_3166_ALPHA_2:
        return code
    which = {"alpha2": "alpha-2", "alpha3": "alpha-3", "either": "alpha-2 or alpha-3"}[written]
    return expected(f"an ISO 3166-1 {which} country code")


def rate_unit(value: str) -> str:
    """What one unit of a rate buys (``hour``, ``day``, ``month`` or ``fixed``), from the English words that systems write for it.

    Case, blanks and underscores do not count. A week is none of them and is refused: how many hours or days it has is the contract's matter.
    """
    word = re.sub(r"[\s_-]+", "-", value.strip().casefold())
    return _UNITS[word] if word in _UNITS else expected_word(set(_UNITS.values()), value)


def phone_e164(value: str) -> str:
    """A telephone number as ITU-T E.164 writes it (``+442079460000``). Only one that is international already: no country is guessed."""
    number = _SPACES_IN_NUMBERS.sub("", value.strip())
    is_international = _E_164.fullmatch(number) and not _TRUNK_PREFIX.search(value)
    return number if is_international else expected("an international telephone number, from + and the country's code on")
