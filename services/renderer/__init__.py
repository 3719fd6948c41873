"""Renderer: joins source and spans, masks what they say, and closes every frame that nothing vouches for."""

from services.renderer.settings import RendererSettings
from services.renderer.stage import RendererStage

__all__ = ["RendererSettings", "RendererStage"]
