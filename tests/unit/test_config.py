"""Settings: the model, the environment, and which source has the last word."""

from __future__ import annotations

import pytest

from agentperf import ConfigurationError
from agentperf.config import Settings, load
from agentperf.config.settings import Secrets


def write(folder, text, name="agentperf.toml"):
    """Write a configuration file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
def test_switched_off_from_outside(tmp_path, text):
    """By what people write for yes."""
    assert not load({"AGENTPERF_DISABLED": text}, tmp_path).enabled


@pytest.mark.parametrize("text", ["0", "False", "no", "off"])
def test_switched_off_by_the_name_of_the_setting(tmp_path, text):
    """Every plain setting has its variable."""
    assert not load({"AGENTPERF_ENABLED": text}, tmp_path).enabled


@pytest.mark.parametrize("environment", [{}, *({"AGENTPERF_DISABLED": t} for t in ("", "0", "No"))])
def test_switched_on(tmp_path, environment):
    """By default, and by what people write for no; an empty variable is none."""
    assert load(environment, tmp_path).enabled


@pytest.mark.parametrize(
    "environment",
    [
        {"AGENTPERF_DISABLED": "1", "AGENTPERF_ENABLED": "1"},
        {"AGENTPERF_DISABLED": "0", "AGENTPERF_ENABLED": "0"},
    ],
)
def test_who_says_off_has_the_last_word(tmp_path, environment):
    """Of two variables that contradict each other, whatever their order."""
    assert not load(environment, tmp_path).enabled
    assert not load(dict(reversed(environment.items())), tmp_path).enabled


@pytest.mark.parametrize("text", ["2", "maybe", "y"])
def test_neither_yes_nor_no(tmp_path, text):
    """A typing error doesn't switch anything."""
    with pytest.raises(ConfigurationError, match="use AGENTPERF_DISABLED=1 or 0"):
        load({"AGENTPERF_DISABLED": text}, tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AGENTPERF_DISABLE", "did you mean 'AGENTPERF_DISABLED'"),
        ("AGENTPERF_SOMETHING_ELSE", "known: AGENTPERF_ENABLED"),
        ("AGENTPERF_POLICIES__F__RETRY", "in a file or by configure"),
    ],
)
def test_unknown_variables(tmp_path, name, hint):
    """Are errors that say what may have been meant."""
    with pytest.raises(ConfigurationError, match=hint):
        load({name: "1"}, tmp_path)


def test_variables_of_other_parts_are_left_alone(tmp_path):
    """Where files are is read by those who need the files; other programs' variables are theirs."""
    environment = {"AGENTPERF_HOME": "/x", "AGENTPERF_VOCABULARY_DIR": "/y", "OTHER": "1"}
    assert load(environment, tmp_path) == Settings()


def test_the_environment_and_the_folder_of_the_process(monkeypatch, tmp_path):
    """Are read when a host is made, not when we are imported."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 'policies."m.f".timed = true')
    monkeypatch.setenv("AGENTPERF_DISABLED", "1")
    settings = load()
    assert not settings.enabled
    assert settings.policies == {"m.f": {"timed": {}}}


def test_precedence(tmp_path):
    """The program over the environment over the file over the defaults."""
    assert Settings().enabled
    write(tmp_path, "enabled = false")
    in_file = load({}, tmp_path)
    assert not in_file.enabled
    in_environment = load({"AGENTPERF_ENABLED": "1"}, tmp_path)
    assert in_environment.enabled
    assert not in_environment.changed(enabled=False).enabled


def test_origins(tmp_path):
    """Each value says where it came from."""
    file = write(tmp_path, 'enabled = true\n[policies."m.f"]\nretry = {attempts = 4}')
    path = ("policies", "m.f", "retry", "attempts")
    assert Settings().origin(("enabled",)) == "default"
    settings = load({}, tmp_path)
    assert settings.origin(("enabled",)) == f"{file}:1"
    assert settings.origin(path) == f"{file}:3"
    settings = load({"AGENTPERF_ENABLED": "1"}, tmp_path)
    assert settings.origin(("enabled",)) == "AGENTPERF_ENABLED"
    settings = settings.changed(policies={"m.f": {"retry": {"attempts": 5}}})
    assert settings.origin(path) == "configure()"
    assert settings.origin(("enabled",)) == "AGENTPERF_ENABLED"
    assert Settings(enabled=False).origin(("enabled",)) == "Settings()"


def test_rows(tmp_path):
    """List every value once: options where there are some, else the policy itself."""
    write(tmp_path, '[policies."m.f"]\ntimed = true\nretry = {attempts = 4}')
    settings = load({}, tmp_path).changed(policies={"m.f": {"cached": False}})
    assert [(".".join(path), value) for path, value, _ in settings.rows()] == [
        ("enabled", True),
        ("policies.m.f.timed", True),
        ("policies.m.f.retry.attempts", 4),
        ("policies.m.f.cached", False),
        ("exporters", ()),
        ("subscribers", ()),
        ("classifiers", ()),
        ("cache_secret", Secrets()),
    ]


def test_changed_settings_are_new_ones():
    """The old ones stay as they were."""
    settings = Settings(policies={"m.f": {"timed": True}})
    changed = settings.changed(enabled=False, policies={"m.f": {"timed": False}})
    assert not changed.enabled
    assert changed.policies == {"m.f": {"timed": False}}
    assert settings == Settings(policies={"m.f": {"timed": {}}})
    assert settings.changed() == settings


def test_policies_are_merged_option_by_option():
    """What is laid over others replaces single options; other operations and policies stay."""
    below = Settings(
        policies={
            "f": {"retry": {"attempts": 4, "total": "9s"}, "timed": True},
            "g": {"timed": True},
        }
    )
    above = below.changed(policies={"f": {"retry": {"attempts": 2}, "cached": {"ttl": 5}}})
    assert above.policies == {
        "f": {"retry": {"attempts": 2, "total": "9s"}, "timed": {}, "cached": {"ttl": 5}},
        "g": {"timed": {}},
    }


def test_true_keeps_the_options_and_false_drops_them():
    """True only says that the policy is to be there."""
    below = Settings(policies={"f": {"cached": {"ttl": 5}}})
    assert below.changed(policies={"f": {"cached": True}}) == below
    off = below.changed(policies={"f": {"cached": "no"}})
    assert off.policies == {"f": {"cached": False}}
    assert off.changed(policies={"f": {"cached": True}}).policies == {"f": {"cached": {}}}


def test_what_an_option_holds_is_not_merged():
    """A table in an option is one value."""
    below = Settings(policies={"f": {"timed": {"attributes": {"a": 1}}}})
    above = below.changed(policies={"f": {"timed": {"attributes": {"b": 2}}}})
    assert above.policies == {"f": {"timed": {"attributes": {"b": 2}}}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("80%", 0.8),
        (" 2.5 % ", 0.025),
        (["50%", "x"], [0.5, "x"]),
        ({"a": "5%"}, {"a": 0.05}),
        ("80% of it", "80% of it"),
        ("30d", "30d"),
    ],
)
def test_shares_are_read_as_people_write_them(written, meant):
    """Times and rates are left to the policies, which know them."""
    settings = Settings(policies={"f": {"p": {"option": written}}})
    assert settings.policies == {"f": {"p": {"option": meant}}}


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"enable": True}, r"configure\(\): enable: no such setting; did you mean 'enabled'"),
        ({"colour": True}, "known: enabled, policies"),
        ({"enabled": 1}, "enabled=1: true or false, as in enabled=false"),
        ({"enabled": "perhaps"}, "true or false"),
        ({"policies": ["f"]}, "policies=.*a table by operation"),
        ({"policies": {"m.f": "retry"}}, "policies.\"m.f\"='retry': a table by policy"),
        ({"policies": {"f": {"retry": 4}}}, "policies.f.retry=4: true, false, or a table"),
    ],
)
def test_bad_changes(changes, hint):
    """They name the setting and show a good example."""
    with pytest.raises(ConfigurationError, match=hint):
        Settings().changed(**changes)


def test_bad_settings_are_refused_when_they_are_made():
    """Also by who makes them directly."""
    with pytest.raises(ConfigurationError, match=r"Settings\(\): enabled=2"):
        Settings(enabled=2)
