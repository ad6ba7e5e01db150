"""The Python examples of docs/testing.md, as they stand."""

import os
import subprocess
import sys

from conftest import BINARY, REPOSITORY


def test_the_examples_of_the_page_pass(tmp_path):
    _, *blocks = (REPOSITORY / "docs" / "testing.md").read_text().split("```python\n")
    example = tmp_path / "test_example.py"
    example.write_text("\n\n".join(block.split("```")[0] for block in blocks))
    path = f"{BINARY.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "CARGO_TARGET_DIR": str(REPOSITORY / "target" / "guests")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, example]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
