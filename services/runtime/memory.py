"""Tells the C library to keep the memory that pictures free, since the next picture wants it again."""

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> None:
    """Makes buffers of up to 32 MiB come from the heap, and the heap keep up to 256 MiB that nobody uses.

    By default every picture is mapped anew, and the kernel clears each of its pages. Does nothing where the C library
    is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    mallopt(_M_TRIM_THRESHOLD, 256 << 20)
    mallopt(_M_TOP_PAD, 64 << 20)
