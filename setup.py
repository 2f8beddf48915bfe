import re
from pathlib import Path

from setuptools import setup

# An index shows the README without the files that it links to.
FILES = "https://github.com/lnmailbox/lnmailbox/blob/main/"
readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")

setup(long_description=re.sub(r"]\((?!https?:|#)", f"]({FILES}", readme))
