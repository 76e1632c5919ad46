"""JavaScript, Java and R by the official SDK, as its own examples and tests use them."""

from __future__ import annotations

import base64
import shutil
from typing import Any

import pytest
from support.local_server import Sandbox

from pytest_agb.local.agent.code import languages

#: What each language needs here, and where a sandbox looks for it.
PROGRAMS = {"javascript": "node", "java": "java", "r": "Rscript"}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: A Java interpreter takes 3 s to start where much else is going on.
PATIENCE = 60


def needs(language: str) -> pytest.MarkDecorator:
    there = shutil.which(PROGRAMS[language], path=SEARCH_PATH)
    return pytest.mark.skipif(not there, reason=f"{PROGRAMS[language]} is not installed")


@pytest.fixture
def run(sdk_session: Any) -> Any:
    return lambda code, language, timeout_s=PATIENCE: sdk_session.code.run(
        code, language, timeout_s=timeout_s
    )


def test_what_is_not_installed_is_named_with_its_remedy() -> None:
    for language, program in PROGRAMS.items():
        command = languages.program(language)
        with pytest.raises(languages.LanguageMissingError) as caught:
            command.found("/nowhere:/neither")
        assert program in str(caught.value)
        assert "/nowhere:/neither" in str(caught.value)
        assert "apt-get install" in str(caught.value)


@pytest.mark.parametrize("language", PROGRAMS)
def test_each_language_runs_or_says_what_it_lacks(run: Any, language: str) -> None:
    result = run({"javascript": "1 + 1", "java": "1 + 1", "r": "1 + 1"}[language], language)
    if shutil.which(PROGRAMS[language], path=SEARCH_PATH):
        assert result.success, result.error_message
        assert result.result in ("2", "[1] 2")
    else:
        assert not result.success
        assert f"there is no {PROGRAMS[language]}" in result.error_message


@needs("javascript")
class TestJavaScript:
    def test_state_is_kept_and_may_be_declared_anew(self, run: Any) -> None:
        first = run(
            "const data = {message: 'hi', value: 123};\nconsole.log(data.message);\ndata.value * 2;", "js"
        )
        assert (first.result, first.logs.stdout, first.execution_count) == ("246", ["hi\n"], 1)
        assert run("data", "node").result == "{ message: 'hi', value: 123 }"
        again = run("const data = [1, 2];\nclass A {}\nlet b = data.length; b", "nodejs")
        assert (again.result, again.execution_count) == ("2", 3)

    def test_modules_await_and_work_that_goes_on(self, run: Any) -> None:
        assert run("const os = require('os'); os.EOL", "javascript").result == r"'\n'"
        assert (
            run("await new Promise((done) => setTimeout(() => done('waited'), 10))", "js").result
            == "'waited'"
        )
        main = run("async function main() { await null; console.log('in'); return 7 }\nmain()", "js")
        assert (main.result, main.logs.stdout) == ("7", ["in\n"])
        # As with `node file.js`, the end comes when nothing is under way any more.
        assert run("setTimeout(() => console.log('late'), 50); undefined", "js").logs.stdout == ["late\n"]
        assert "Node.js/" in run("navigator.userAgent", "js").result  # the SDK's own example

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("function f() { throw new TypeError('no') }\nf()", "TypeError: no\n    at f (<anonymous>:1:22)"),
            ("missing", "ReferenceError: missing is not defined"),
            ("const x = ;", "SyntaxError: Unexpected token ';'"),
            ("throw 5", "Uncaught 5"),
            ("Promise.reject(new Error('later'))", "Error: later"),
            ("setTimeout(() => { throw new Error('in a timer') }, 1)", "Error: in a timer"),
            ("await new Promise(() => {})", "awaits what nothing will ever settle"),
        ],
    )
    def test_errors(self, run: Any, code: str, words: str) -> None:
        result = run(f"console.log('before');\n{code}" if code != "const x = ;" else code, "js")
        assert not result.success
        assert words.replace(":1:", ":2:") in result.error_message
        assert "inspector" not in result.error_message
        assert run("'alive'", "js").result == "'alive'"

    def test_a_timeout_keeps_the_state_of_code_that_computes(self, run: Any) -> None:
        run("const kept = 42", "js")
        result = run("while (true);", "js", 1)
        assert "ran longer than 1 s and was interrupted; variables are kept" in result.error_message
        assert run("kept", "js").result == "42"

    def test_a_timeout_ends_what_goes_on_for_ever(self, run: Any) -> None:
        result = run("setInterval(() => {}, 10)", "js", 1)
        assert "ran longer than 1 s" in result.error_message
        assert "variables are lost" in result.error_message
        assert run("'a new one'", "js").result == "'a new one'"

    def test_an_exit_is_an_end(self, run: Any) -> None:
        good = run("console.log('bye'); process.exit(0)", "js")
        assert (good.success, good.logs.stdout) == (True, ["bye\n"])
        assert "exited with status 3" in run("process.exit(3)", "js").error_message


@needs("java")
class TestJava:
    def test_snippets_keep_their_state(self, run: Any) -> None:
        first = run(
            'System.out.println("Hello from Java");\n'
            "int sum = 0;\n"
            "for (int i = 1; i <= 10; i++) sum += i;\n"
            'System.out.println("Sum: " + sum);',
            "java",
        )
        assert (first.success, first.logs.stdout) == (True, ["Hello from Java\nSum: 55\n"])
        assert first.results == []
        assert run("sum + 1", "Java").result == "56"
        later = run(
            "class Pair { int a = 1, b = 2; }\nMap<String, Integer> m = new TreeMap<>();\nnew Pair().b",
            "java",
        )
        assert (later.result, later.execution_count) == ("2", 3)
        text = run('System.err.println("☃");\n"☃"', "java")
        assert (text.result, text.logs.stderr) == ('"☃"', ["☃\n"])
        assert run("// just a comment", "java").success

    def test_errors_and_timeouts_keep_the_state(self, run: Any) -> None:
        # In one interpreter: it takes 3 s of processor time to start.
        run("int kept = 42;", "java")
        for code, words in (
            ("int f(int n) { return n / 0; }\nf(1)", "java.lang.ArithmeticException: / by zero\n    at "),
            ("throw new IllegalStateException();", "java.lang.IllegalStateException"),
            ('int y = "s";', "java.lang.String cannot be converted to int"),
            ("missing", "cannot find symbol"),
            ("for (int i = 0;", "CompilationError"),
            ("void g() { h(); }\ng()", "uses what is not defined"),
        ):
            result = run(f'System.out.println("before");\n{code}', "java")
            assert not result.success, code
            assert words in result.error_message
            assert result.logs.stdout == ["before\n"], code
        for endless in ("while (true) {}", "Thread.sleep(60_000);"):
            result = run(endless, "java", 1)
            assert "ran longer than 1 s and was interrupted; variables are kept" in result.error_message
        assert run("kept", "java").result == "42"

    def test_an_exit_is_an_end(self, run: Any) -> None:
        assert run("System.exit(0);", "java").success


@needs("r")
class TestR:
    def test_state_is_kept_and_visible_values_are_shown(self, run: Any) -> None:
        assert run('y <- 99\ncat("set y")', "r").logs.stdout == ["set y"]
        assert run("cat(y)", "R").logs.stdout == ["99"]
        result = run("y + 1\ninvisible(2)\ndata.frame(a = 1:2)\nmessage('note')\n'☃'", "r")
        assert [item.text for item in result.results] == ["[1] 100", "  a\n1 1\n2 2", '[1] "☃"']
        assert [item.is_main_result for item in result.results] == [False, False, True]
        assert (result.logs.stderr, result.execution_count) == (["note\n"], 3)
        assert run("# just a comment", "r").success

    def test_plots_are_pictures(self, run: Any) -> None:
        result = run("plot(1:10)\nlines(1:3)\nhist(c(1, 2, 2))\n'done'", "r")
        assert result.success, result.error_message
        pictures = [item for item in result.results if item.png]
        assert len(pictures) == 2
        assert all(base64.b64decode(item.png).startswith(b"\x89PNG") for item in pictures)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("stop('no')", "Error: no"),
            ("f <- function() stop('inner')\nf()", "Error in f(): inner"),
            ("missing_one", "object 'missing_one' not found"),
            ("x <- ", "unexpected end of input"),
            ("library(nosuch)", "there is no package called"),
        ],
    )
    def test_errors(self, run: Any, code: str, words: str) -> None:
        result = run(code, "r")
        assert not result.success
        assert words in result.error_message
        assert "driver" not in result.error_message
        assert run("'alive'", "r").success

    def test_a_timeout_keeps_the_state(self, run: Any) -> None:
        run("kept <- 42", "r")
        for endless in ("while (TRUE) {}", "Sys.sleep(60)"):
            result = run(endless, "r", 1)
            assert "ran longer than 1 s and was interrupted; variables are kept" in result.error_message
        assert run("kept", "r").result == "[1] 42"

    def test_an_exit_is_an_end(self, run: Any) -> None:
        assert run("quit(status = 0)", "r").success
        assert "exited with status 3" in run("quit(status = 3)", "r").error_message


@needs("javascript")
def test_languages_do_not_wait_for_each_other_and_share_the_files(sandbox: Sandbox) -> None:
    import threading

    endless = threading.Thread(
        target=sandbox.code, args=("import os, time\nwhile not os.path.exists('go'): time.sleep(.01)",)
    )
    endless.start()
    try:
        ok, text = sandbox.tool(
            "run_code", code="require('fs').writeFileSync('go', '')", language="javascript"
        )
        assert ok, text
    finally:
        sandbox.shell("touch go")
        endless.join(30)
    assert not endless.is_alive()
