#!/usr/bin/env python3
"""headers.py on small trees of its own."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import headers


class HeadersTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = headers.ROOT = pathlib.Path(folder.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def example(self, comment):
        self.write("engine/a/a.h", comment + "#pragma once\n")
        return [code.strip() for _, code in headers.example_of(pathlib.Path("engine/a/a.h"))]

    def problems(self, text):
        self.write("engine/a/a.h", text)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            headers.check()
        return out.getvalue()

    def test_a_block_of_three_spaces_is_code_and_a_deeper_one_is_not(self):
        self.assertEqual(self.example("// A.\n//\n//   f();\n//     g();\n//\n// Text.\n//\n//     a table\n"),
                         ["f();", "g();"])

    def test_a_list_under_its_sentence_is_no_example(self):
        self.assertEqual(self.example("// Either:\n//   - this\n//   - or that\n"), [])

    def test_comments_behind_the_leading_one_are_no_examples(self):
        self.assertEqual(self.example("// A.\n\n//\n//   f();\n"), [])

    def test_an_ellipsis_is_an_empty_statement_or_fields_left_out(self):
        self.assertEqual(self.example('// A.\n//\n//   if (x) ...\n//   f({.a = 1, ...}, "...");  // ...\n'),
                         ["if (x) {}", 'f({.a = 1}, "...");  // ...'])

    def test_braces_that_do_not_match_are_refused_at_their_line(self):
        with self.assertRaisesRegex(SystemExit, r"engine/a/a\.h:3: "):
            self.example("// A.\n//\n//   while (x) {\n")

    def test_an_example_is_compiled_as_its_header_in_its_namespace_beside_its_library(self):
        self.write("engine/a/b.h", "#include <torch/torch.h>\n")
        self.write("engine/a/a.h", '// A.\n//\n//   f();\n#include "engine/a/b.h"\nnamespace sf::x {\n')
        headers.generate(self.root)
        self.assertIn('namespace sf::x::examples_engine_a {\nstatic auto a_example() {\n  using namespace sf::examples;\n'
                      '#line 3 "engine/a/a.h"\n     f();\n}\n', (self.root / "examples_torch.cc").read_text())
        self.assertNotIn("a_example", (self.root / "examples_plain.cc").read_text())

    def test_a_header_without_a_thread_rule_is_reported(self):
        self.assertIn("engine/a/a.h:1: no thread rule", self.problems("// A.\n#pragma once\n// Thread-safe.\n"))
        self.assertEqual(self.problems("// A. Thread-safe.\n#pragma once\n"), "")
        self.assertEqual(self.problems("// A. One thread\n// only.\n#pragma once\n"), "")

    def test_a_file_that_does_not_exist_is_reported(self):
        self.write("engine/a/b.h", "// B. Immutable.\n")
        text = "// A. Thread-safe.\n// See b.h and engine/a/b.h.\n// %s has it.\n"
        self.assertEqual(self.problems(text % "b.h"), "")
        self.assertIn("engine/a/a.h:3: names c.h,", self.problems(text % "c.h"))
        self.assertIn("engine/a/a.h:3: names engine/b.h,", self.problems(text % "engine/b.h"))


if __name__ == "__main__":
    unittest.main()
