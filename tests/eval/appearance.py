"""How much help by appearance is worth: `python -m tests.eval.appearance`, on people whose ways are marked by hand.

PETS 2009 S2L1 (`../shared/data/video/vtest.avi`, 768×576, 19 people). Every way is cut into pieces of 40 frames. Each
piece is a question, as for a track of the subject's; to choose from is, of everybody who is seen again later than a
gap, the next piece. Rank-1 is how often the same person comes first, top-5 how often among the first five; chance is
what guessing would give. Colours come from three moments of each piece, as `veil disclose suggest` takes them.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from services.disclosure.appearance import Colours, colours_of, joined, likeness
from services.disclosure.find import Box
from services.media.picture import Picture
from tests.support.scene_sources import SHARED_DATA

_PIECE = 40
_MOMENTS = (6, 20, 34)  # frames of a piece
_GAPS = (25, 75, 150, 300)


@dataclass(frozen=True)
class _Piece:
    person: int
    first: int
    colours: Colours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.parse_args()
    if not SHARED_DATA.is_dir():
        parser.exit(1, "the pictures are not here\n")
    ways = _ways()
    pieces = _pieces(ways)
    print(f"{len(ways)} people, {len(pieces)} pieces of {_PIECE} frames")
    for gap in _GAPS:
        ranks, sizes = _ranks(pieces, gap)
        rank1, top5 = (float(np.mean(ranks < most)) for most in (1, 5))
        chance1, chance5 = (float(np.mean(np.minimum(1, most / sizes))) for most in (1, 5))
        print(
            f"gap of {gap} frames or more: {len(ranks)} questions among {sizes.mean():.1f} people, "
            f"rank-1 {rank1:.2f} (chance {chance1:.2f}), top-5 {top5:.2f} (chance {chance5:.2f})"
        )


def _ways() -> Mapping[int, Mapping[int, Box]]:
    """Person → frame, from 0 → box."""
    rows = np.loadtxt(SHARED_DATA / "video" / "vtest.mot15-gt.txt", delimiter=",")
    found: dict[int, dict[int, Box]] = defaultdict(dict)
    for frame, person, x, y, width, height in rows[:, :6].tolist():
        found[int(person)][int(frame) - 1] = (x, y, x + width, y + height)
    return found


def _pieces(ways: Mapping[int, Mapping[int, Box]]) -> list[_Piece]:
    wanted: dict[int, list[tuple[int, int]]] = defaultdict(list)  # frame → person and first frame of the piece
    for person, way in ways.items():
        for first in range(min(way), max(way) - _PIECE + 2, _PIECE):
            for moment in _MOMENTS:
                if first + moment in way:
                    wanted[first + moment].append((person, first))
    seen: dict[tuple[int, int], list[Colours]] = defaultdict(list)
    with av.open(str(SHARED_DATA / "video" / "vtest.avi")) as video:
        for number, frame in enumerate(video.decode(video=0)):
            picture = (
                Picture(frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False)) if wanted[number] else None
            )
            for person, first in wanted[number]:
                others = [way[number] for other, way in ways.items() if other != person and number in way]
                assert picture is not None
                colours = colours_of(picture, ways[person][number], (), others)
                if colours is not None:
                    seen[person, first].append(colours)
    return [_Piece(person, first, joined(colours)) for (person, first), colours in seen.items()]


def _ranks(pieces: Sequence[_Piece], gap: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each question: how many others come before the same person, and among how many."""
    ranks, sizes = [], []
    for asked in pieces:
        later: dict[int, _Piece] = {}
        for one in sorted(pieces, key=lambda piece: piece.first):
            if one.first >= asked.first + _PIECE + gap:
                later.setdefault(one.person, one)
        if asked.person in later and len(later) > 1:
            alike = {person: likeness(asked.colours, one.colours) for person, one in later.items()}
            ranks.append(sum(value > alike[asked.person] for value in alike.values()))
            sizes.append(len(later))
    return np.array(ranks), np.array(sizes)


if __name__ == "__main__":
    main()
