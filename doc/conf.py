"""How Sphinx builds the documentation: `make doc`."""

import sys
from pathlib import Path

import sk_softkmeans

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sk_softkmeans"
author = "the sk_softkmeans developers"
copyright = f"2026, {author}"
version = release = sk_softkmeans.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "sphinx_design",
    # MathJax is a part of the pages, which can be read without a network.
    "sphinx-mathjax-offline",
    "links",
    "measured",
]
exclude_patterns = ["_build", "examples", "auto_examples/*.py"]
templates_path = ["_templates"]
# Docstrings name classes and parameters in single backticks, as scikit-learn's do.
default_role = "py:obj"
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

autosummary_generate = True
numpydoc_show_class_members = False
# The prompts are not copied.
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "doc_module": ("sk_softkmeans",),
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"sk_softkmeans": None},
    # A figure that fails, or warns, stops the build.
    "abort_on_example_error": True,
    "show_memory": False,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "pydata_sphinx_theme"
html_title = "sk_softkmeans"
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# Pages without others below them.
html_sidebars = {
    name: [] for name in ("index", "install", "benchmarks", "changes", "contributing")
}
html_show_sourcelink = False
