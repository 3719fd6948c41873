"""What keeps a viewer from seeing: one clear sentence."""


class ConsumeError(Exception):
    """Reading or writing can't go on; the text is a sentence for the person who asked."""
