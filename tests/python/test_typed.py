"""The commands of the README and of the tutorial, typed as they stand into a copy of the repository."""

import os
import subprocess
import sys

import typed
from conftest import REPOSITORY

COPY = REPOSITORY / "target" / "typed"
# As the pages' own builds are, but for the time that the compiler takes.
QUICK = {
    # What several projects of the pages have in common is built once.
    "CARGO_BUILD_BUILD_DIR": str(COPY.parent / "typed-build"),
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "false",
}


def environment():
    # The C of the allocator, which takes longest, is compiled for the tests already.
    compiled = (REPOSITORY / "target" / "debug" / "build").glob("tikv-jemalloc-sys-*/out/lib/libjemalloc_pic.a")
    allocator = {"JEMALLOC_OVERRIDE": str(library) for library in compiled}
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CARGO_TARGET", "AWS_", "RUST_LOG"))}
    return own | QUICK | allocator | {"PATH": path, "TERM": "dumb"}


def test_what_the_pages_say_happens():
    typed.copy(REPOSITORY, COPY)
    # What is downloaded is downloaded here: where the pages are typed, there is no network but the loopback.
    build = ["cargo", "build", "--release", "--workspace", "--bin", "tidemill", "--locked"]
    subprocess.run(build, cwd=COPY, env=environment(), check=True)
    fetch = ["cargo", "fetch", "--manifest-path", "functions/Cargo.toml", "--locked"]
    subprocess.run(fetch, cwd=COPY, env=environment(), check=True)
    alone = ["unshare", "--user", "--map-root-user", "--net", sys.executable, typed.__file__]
    done = subprocess.run(
        [*alone, COPY, "README.md", "docs/tutorial.md"],
        env=environment() | {"CARGO_NET_OFFLINE": "true"}, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_is_wrong_is_found(tmp_path):
    right = "```console\n$ echo one; echo two\n...\nt[..]o\n```\n"
    for text, is_right in [(right, True), (right.replace("t[..]o", "three"), False), (right.replace("...\n", ""), False)]:
        page = tmp_path / "page.md"
        page.write_text(text)
        try:
            typed.Reader(tmp_path, os.environ).follow(page)
        except AssertionError as error:
            assert not is_right and "page.md, line 1" in str(error), error
        else:
            assert is_right, text
