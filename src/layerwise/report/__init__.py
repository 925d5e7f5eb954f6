"""The page on which a study is explored: tables in, one HTML file out that loads nothing."""

from layerwise.report.contents import Contents
from layerwise.report.page import render_page

__all__ = ["Contents", "render_page"]
