"""Links that leave `docs/`: pictures and pages come into the site, other files are named.

The Markdown files are also read in the repository, where such links lead to the file itself.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<up>(?:\.\./)+)(?P<path>[^)#\s]+)\)")
SHOWN = (".png", ".html")  # files that the site shows itself
FOLDER = "repository"  # of these, in the site


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside `docs/` that its pages show."""
    root = Path(config.config_file_path).parent
    for page in list(files.documentation_pages()):
        for link in LINK.finditer(page.content_string):
            path, name = link["path"], f"{FOLDER}/{link['path']}"
            if path.endswith(SHOWN) and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links at the files in the site; a link to another file becomes its path."""
    up = "../" * page.file.src_uri.count("/")

    def replace(link: re.Match[str]) -> str:
        if link["path"].endswith(SHOWN):
            return f"{link['picture']}[{link['text']}]({up}{FOLDER}/{link['path']})"
        name = f"`{link['path']}`"
        text = link["text"]
        return name if text.strip("`") == link["path"] else f"{text} ({name} in the repository)"

    return LINK.sub(replace, markdown)
