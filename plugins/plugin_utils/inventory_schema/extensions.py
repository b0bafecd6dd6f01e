"""Which extensions of PostgreSQL Debian packages, and in which package."""

from __future__ import annotations

import difflib

from .mistakes import MistakeError

# Of PostgreSQL itself, in the package of the server. Left out is what works only when it is preloaded.
_OF_THE_SERVER = """
amcheck bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance fuzzystrmatch hstore
intarray isn lo ltree pg_buffercache pg_freespacemap pg_prewarm pg_trgm pg_visibility pg_walinspect pgcrypto
pgrowlocks pgstattuple postgres_fdw seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent
uuid-ossp
"""
# What follows postgresql-VERSION- in the name of the package, in Debian 12 and 13.
_PACKAGED = {
    "hll": "hll",
    "hypopg": "hypopg",
    "ip4r": "ip4r",
    "pg_partman": "partman",
    "postgis": "postgis-3",
    "prefix": "prefix",
    "rum": "rum",
    "unit": "unit",
    "vector": "pgvector",
}
# Major version of PostgreSQL from which Debian has the package.
_SINCE = {"vector": 17}
# An extension needs these to be created before it.
_REQUIRES = {"earthdistance": ["cube"]}
PACKAGES: dict[str, str] = {**dict.fromkeys(_OF_THE_SERVER.split(), ""), **_PACKAGED}


def known_extension(value: str) -> str:
    """Return the name of an extension that can be installed; raise :class:`MistakeError` if there is none."""
    if value not in PACKAGES:
        meant = next(iter(difflib.get_close_matches(value, PACKAGES, n=1, cutoff=0.6)), "")
        listed = ", ".join(sorted(PACKAGES))
        raise MistakeError(
            "is not an extension that Farrier can install",
            f"did you mean {meant}?" if meant else f"choose of {listed}",
        )
    return value


def with_required(names: list[str]) -> list[str]:
    """Return extensions in the order in which they can be created, with those that they need."""
    found = [one for name in names for one in [*_REQUIRES.get(name, []), name]]
    return list(dict.fromkeys(found))


def packages(names: list[str], version: str) -> list[str]:
    """Return the packages of extensions for a major version of PostgreSQL, sorted.

    Raises:
        MistakeError: Debian has none for this version.
    """
    for name in names:
        if int(version) < _SINCE.get(name, 0):
            what = f"has the extension {name}, which Debian does not package for PostgreSQL {version}"
            raise MistakeError(what, f"remove it, or use a database host with PostgreSQL {_SINCE[name]}")
    return sorted({f"postgresql-{version}-{PACKAGES[name]}" for name in names if PACKAGES[name]})
