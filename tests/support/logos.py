"""Trade marks drawn for tests, and pictures with them at any place, size and angle."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def drawn(word: str = "ACME", seed: int = 0) -> Picture:
    """(200, 320, 3): a word, a ring, a star and a bar, placed and coloured by the seed."""
    rng = np.random.default_rng(seed)
    logo = np.full((200, 320, 3), rng.integers(190, 250, 3), np.uint8)
    colours = [[int(value) for value in rng.integers(0, 140, 3)] for _ in range(4)]
    x, y = (int(value) for value in rng.integers(50, 90, 2))
    cv2.circle(logo, (x, y), 42, colours[0], 9, cv2.LINE_AA)
    turns = np.linspace(0, 2 * np.pi, 11)[:10] + rng.uniform(0, 1)
    reach = np.where(np.arange(10) % 2, 16, 40)[:, None]
    star = np.stack([np.cos(turns), np.sin(turns)], axis=1) * reach + [320 - x, y]
    cv2.fillPoly(logo, [star.astype(np.int32)], colours[1], cv2.LINE_AA)
    cv2.rectangle(logo, (int(rng.integers(10, 40)), 176), (int(rng.integers(200, 310)), 186), colours[2], -1)
    cv2.putText(logo, word, (28, 164), cv2.FONT_HERSHEY_DUPLEX, 2.2, colours[3], 6, cv2.LINE_AA)
    return logo


def background(height: int = 540, width: int = 960, seed: int = 1) -> Picture:
    """Texture of several sizes, as of walls and leaves."""
    rng = np.random.default_rng(seed)
    made = np.full((height, width, 3), 120, np.float64)
    for cell in (4, 16, 64):
        noise = rng.normal(0, 18, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        made += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(made, 0, 255).astype(np.uint8)


def pasted(
    scene: Picture, logo: Picture, centre: tuple[float, float], scale: float, degrees: float = 0, tilt: float = 0
) -> tuple[Picture, NDArray[np.float32]]:
    """The scene with the logo in it, and the logo's corners (4, 2) there.

    `tilt` is the share by which its right side is shorter than its left.
    """
    high, wide = logo.shape[:2]
    own = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    flat = (own - [wide / 2, high / 2]) * scale
    flat[1:3, 1] *= 1 - tilt
    flat[1:3, 0] -= tilt * wide * scale / 2
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (flat @ turn.T + centre).astype(np.float32)
    soft = cv2.GaussianBlur(logo, (0, 0), 0.5 * (1 / scale - 1)) if scale < 0.95 else logo
    moved = cv2.getPerspectiveTransform(own, corners)
    size = (scene.shape[1], scene.shape[0])
    share = cv2.warpPerspective(np.ones((high, wide), np.float32), moved, size, flags=cv2.INTER_LINEAR)[..., None]
    mixed = scene * (1 - share) + cv2.warpPerspective(soft, moved, size, borderMode=cv2.BORDER_REPLICATE) * share
    return np.clip(mixed, 0, 255).astype(np.uint8), corners
