"""A refusal of one image fails that image's tests; only one of the key fails the run's.

Whatever words it is made of, and whatever the names that it quotes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.standin import StandIn
from support.standin_faults import RefusedError

#: Tests of an image that is refused, with good ones before, between and after.
SUITE = """
    import pytest

    def test_before(agb_session): pass

    @pytest.mark.agb(image={image!r})
    @pytest.mark.parametrize("number", range(3))
    def test_refused(agb_session, number): pass

    @pytest.mark.parametrize("number", range(3))
    def test_after(agb_session, number): pass
"""
CREATE = "/mcp/createSession"
PLAIN_AND_XDIST = pytest.mark.parametrize(
    "arguments", [(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["plain", "xdist"]
)


@pytest.mark.parametrize(
    "image", ["my-unlimited-image", pytest.param("api-key-tester", marks=pytest.mark.slow)]
)
def test_an_image_that_is_not_there_fails_its_tests_at_once(
    pytester: pytest.Pytester, cloud: StandIn, image: str
) -> None:
    pytester.makepyfile(SUITE.format(image=image))

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines([f"no AGB session: *{image}*is not found*image-management*"])
    result.stdout.no_fnmatch_line("*no session was free*")


def test_words_alone_tell_it_too(pytester: pytest.Pytester, cloud: StandIn) -> None:
    image = "my-unlimited-image"
    cloud.refused_images[image] = RefusedError(200, "", f"Image [{image}] is not found")
    pytester.makepyfile(SUITE.format(image=image))

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines([f"no AGB session: *{image}*is not found*image-management*"])


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        ("Forbidden.Image", "You have no right to it", ()),
        ("", "Image [dear] is not for this account. Use another API key", ("-n2",)),
        ("AccessDenied", "Access denied", ()),
    ],
)
def test_a_403_for_one_image_fails_its_own_tests(
    pytester: pytest.Pytester, cloud: StandIn, code: str, words: str, arguments: tuple[str, ...]
) -> None:
    cloud.refused_images["dear"] = RefusedError(403, code, words)
    pytester.makepyfile(SUITE.format(image="dear"))

    result = pytester.runpytest_subprocess(*arguments)

    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines([f"no AGB session: *{words.replace('[', '[[]')}*"])


@PLAIN_AND_XDIST
def test_a_browser_image_on_the_local_backend_fails_its_own_tests(
    pytester: pytest.Pytester, temp_directory: Path, arguments: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE.format(image="agb-browser-use-1"))

    result = pytester.runpytest_subprocess("--agb-backend=local", *arguments)

    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines(["no AGB session: *agb-browser-use-1*has no browser*Set AGB_API_KEY*"])


@pytest.mark.parametrize("page", [True, False], ids=["page", "code"])
def test_a_key_that_is_refused_fails_all_and_is_asked_about_once(
    pytester: pytest.Pytester, cloud: StandIn, page: bool
) -> None:
    """By its status, or by its code."""
    for image in cloud.images:
        cloud.refused_images[image] = RefusedError(
            401 if page else 400, "" if page else "InvalidApiKey", "no"
        )
    pytester.makepyfile(SUITE.format(image="agb-code-space-2"))

    pytester.runpytest_subprocess().assert_outcomes(errors=7)

    assert cloud.count(CREATE) <= 2  # for the first test and, ahead, for the second


#: A Python by which the detached process of this number does not start.
PYTHON_THAT_FAILS_ONCE = """\
#!/bin/sh
case "$2" in
*pytest_agb.run.detach*)
    mktemp -p {starts} >/dev/null
    if [ $(ls {starts} | wc -l) = {number} ]; then echo "no memory for a moment" >&2; exit 1; fi
esac
exec {python} "$@"
"""


@pytest.mark.parametrize(
    ("backend", "number"),
    [
        pytest.param("local", 1, id="local server"),
        pytest.param("local", 2, id="its keeper"),
        pytest.param("cloud", 1, id="the cloud's keeper"),
    ],
)
def test_a_process_that_does_not_start_once_fails_one_test(
    pytester: pytest.Pytester, cloud: StandIn, backend: str, number: int
) -> None:
    starts = pytester.mkdir("starts")
    script = pytester.path / "python-that-fails-once"
    script.write_text(PYTHON_THAT_FAILS_ONCE.format(starts=starts, number=number, python=sys.executable))
    script.chmod(0o755)
    pytester.makeconftest(f"import sys\nsys.executable = {str(script)!r}\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_it(agb_session, number): pass
        """
    )
    result = pytester.runpytest_subprocess(f"--agb-backend={backend}")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["no AGB session: *did not start within*no memory for a moment*"])
