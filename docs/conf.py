"""How the documentation is built: `tox -e docs`."""

from __future__ import annotations

import importlib.metadata

import lnmailbox
import lnmailbox.wire

project = "lnmailbox"
copyright = "2026, lnmailbox contributors"  # noqa: A001
version = release = importlib.metadata.version("lnmailbox")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"lnmailbox {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A name in backticks is code, and a link where it is the name of something documented.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Built without the network, so without the inventories of other projects. What belongs to this
# one must resolve.
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:.*", r"(?!lnmailbox\b).*"),
    ("py:class", r"lnmailbox\..*\b_?[A-Z][a-z]*(_co)?"),  # type variables
]

# A name is documented where it is imported from, not in the module that happens to define it.
for module in (lnmailbox, lnmailbox.wire):
    for name in module.__all__:
        getattr(module, name).__module__ = module.__name__
