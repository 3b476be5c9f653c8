"""Rules for every test run: no silent skips in CI, no other machines, no unmarked slow tests."""

pytest_plugins = ["pytester", "tests.rules.answers", "tests.rules.duration", "tests.rules.network", "tests.rules.skips"]
