"""Every projection there is, in its newest definition and in those that a generation may still have.

A changed projection is added here beside the one that it takes the place of, and the old one goes once no generation
has it any more (docs/changing-a-projection.md).
"""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import app.domain
from projections import batch
from projections.refusal import Refused
from projections.task.fold import TaskProjection
from projections.task_history.fold import TaskHistoryProjection

if TYPE_CHECKING:
    from collections.abc import Collection

    from projections.batch import Projection

PROJECTIONS: tuple[Projection, ...] = (TaskProjection(), TaskHistoryProjection())
"""In the newest definition. The first one holds the state that the rule judges by."""
OLDER: tuple[Projection, ...] = ()
"""In definitions that are still served somewhere."""
JUDGE = PROJECTIONS[0].name


def find(name: str, definition: int) -> Projection | None:
    """Give a projection in one definition, or None where this code does not have it."""
    for projection in (*PROJECTIONS, *OLDER):
        if (projection.name, projection.definition) == (name, definition):
            return projection
    return None


def names(wanted: Collection[str] = ()) -> list[str]:
    """Give the wanted projections in the order of the catalog, or all; raises Refused for one that does not exist."""
    known = [projection.name for projection in PROJECTIONS]
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise Refused(f"There is no projection {', '.join(unknown)}; there are: {', '.join(known)}.")
    return [name for name in known if name in wanted] if wanted else known


def fingerprint(projection: Projection) -> str:
    """Tell code apart that may give other rows: a hash of all that a projection's rows follow from."""
    return _hash_code(type(projection))


@cache
def _hash_code(kind: type[Projection]) -> str:
    domain = sorted(Path(next(iter(app.domain.__path__))).glob("*.py"))
    own = sorted(Path(inspect.getfile(kind)).parent.glob("*.py"))
    digest = hashlib.blake2b(digest_size=16)
    for path in (*domain, Path(batch.__file__), *own):
        digest.update(path.read_bytes())
    return digest.hexdigest()
