"""Settings: which place wins, which places are trusted, and what is said of a wrong one."""

from pathlib import Path

import pytest

from aipartnerupflow.api.settings import Settings, load_settings
from aipartnerupflow.domain.errors import InvalidInput, StoreUnavailable

CONFIG = ".config/apflow/config.toml"


def write(place: Path, name: str, text: str) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def nothing_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APFLOW_STATE_DIR")


# -- which place wins


def test_without_anything_the_defaults_hold(place: Path) -> None:
    settings = load_settings()
    assert settings.state_dir == place / ".local/state/apflow"
    assert (settings.imports, settings.durability, settings.command_enabled) == ((), "power", False)
    assert settings.origins == {}


PLACES = [
    ("a flag", "flag.db"),
    ("APFLOW_DATABASE_URL", "ours.db"),
    ("AIPARTNERUPFLOW_DATABASE_URL", "old.db"),
    ("DATABASE_URL", "sqlite:///generic.db"),
    ("APFLOW_DATABASE_URL in .env", "dotenv.db"),
    ("apflow.toml", "toml.db"),
    ("[tool.apflow] of pyproject.toml", "pyproject.db"),
    (CONFIG, "home.db"),
]


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_the_first_place_that_names_a_key_wins_and_is_remembered(
    first: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {}
    for origin, url in PLACES[first:]:
        if origin == "a flag":
            flags["database_url"] = url
        elif origin.endswith(".env"):
            write(place, ".env", f"UNRELATED=1\nAPFLOW_DATABASE_URL='{url}'\n")
        elif origin.startswith("[tool"):
            write(place, "pyproject.toml", f'[tool.apflow]\ndatabase_url = "{url}"\n')
        elif origin.endswith(".toml"):
            write(place, origin, f'database_url = "{url}"\n')
        else:
            monkeypatch.setenv(origin, url)
    settings = load_settings(**flags)
    origin, url = PLACES[first]
    assert settings.database_url == url
    assert settings.origins["database_url"].endswith(origin)


def test_what_different_places_say_of_different_keys_is_put_together(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_IMPORT", "jobs, more.jobs,")
    write(place, "apflow.toml", 'durability = "process"\n')
    write(place, CONFIG, 'state_dir = "~/mine"\n')
    settings = load_settings(database_url="x.db", imports=None)
    assert settings.imports == ("jobs", "more.jobs")
    assert settings.durability == "process"
    assert settings.state_dir == place / "mine"
    assert set(settings.origins) == {"imports", "durability", "state_dir", "database_url"}


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APFLOW_IMPORT", "")
    monkeypatch.setenv("APFLOW_DATABASE_URL", "")
    assert load_settings().origins == {}


# -- the store


def test_the_store_lies_in_the_state_directory_which_is_made_private(place: Path) -> None:
    assert load_settings().store_url() == f"sqlite:///{place / '.local/state/apflow/apflow.db'}"
    assert (place / ".local/state/apflow").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_that_name_in_the_working_directory_takes_the_store(place: Path) -> None:
    (place / ".apflow").mkdir()
    assert load_settings().store_url() == "sqlite:///.apflow/apflow.db"
    assert not (place / ".local").exists()


def test_a_state_directory_that_cannot_be_made_is_told(place: Path) -> None:
    write(place, "file", "")
    settings = load_settings(state_dir=place / "file" / "below")
    with pytest.raises(StoreUnavailable, match="APFLOW_STATE_DIR"):
        settings.store_url()


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "just/a/path.db", "oracle:thin", "http://x", "redis://x"]
)
def test_the_common_variable_counts_only_with_a_scheme_we_know(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert load_settings().database_url is None


@pytest.mark.parametrize("url", ["postgres://h/db", "postgresql+asyncpg://h/db", "sqlite:///x.db"])
def test_the_common_variable_counts_with_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert load_settings().database_url == url


@pytest.mark.parametrize(
    "variable", ["APFLOW_DATABASE_URL", "AIPARTNERUPFLOW_DATABASE_URL", "DATABASE_URL"]
)
def test_a_duckdb_store_is_refused_with_what_to_do(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "duckdb:///old.duckdb")
    with pytest.raises(InvalidInput, match=rf"{variable}.*DuckDB.*sqlite:///path\.db"):
        load_settings()


def test_our_own_variable_with_a_scheme_we_do_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APFLOW_DATABASE_URL", "mysql://u:secret@host/db")
    with pytest.raises(InvalidInput, match="mysql") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


def test_no_password_is_shown_with_the_settings() -> None:
    assert "hunter2" not in repr(load_settings(database_url="postgresql://u:hunter2@h/db"))


# -- trust

HARMFUL = [
    ("imports", 'imports = ["evil"]', "APFLOW_IMPORT=evil"),
    ("command_enabled", "command_enabled = true", "APFLOW_COMMAND_ENABLED=true"),
    ("state_dir", 'state_dir = "elsewhere"', "APFLOW_STATE_DIR=elsewhere"),
    ("command_allow", 'command_allow = [["sh", "..."]]', 'APFLOW_COMMAND_ALLOW=[["sh", "..."]]'),
]


@pytest.mark.parametrize(("key", "toml", "line"), HARMFUL)
def test_files_of_the_working_directory_decide_nothing_that_runs(
    key: str, toml: str, line: str, place: Path
) -> None:
    for name, text in (
        (".env", line),
        ("apflow.toml", toml),
        ("pyproject.toml", f"[tool.apflow]\n{toml}"),
    ):
        write(place, name, f"{text}\n")
        with pytest.raises(InvalidInput, match=rf"{name}.* may not set '{key}'.*config\.toml"):
            load_settings()
        (place / name).unlink()


@pytest.mark.parametrize(("key", "toml", "line"), HARMFUL)
def test_the_users_own_file_may(key: str, toml: str, line: str, place: Path) -> None:
    write(place, CONFIG, toml)
    assert load_settings().origins[key].endswith("config.toml")


def test_executors_are_told_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APFLOW_COMMAND_ENABLED", "yes")
    monkeypatch.setenv("APFLOW_COMMAND_ALLOW", '[["echo", "*"]]')
    told = load_settings().for_executors()
    assert told["APFLOW_COMMAND_ENABLED"] is True
    assert told["APFLOW_COMMAND_ALLOW"] == (("echo", "*"),)
    assert told["APFLOW_SECRETS"] == {}


# -- mistakes


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("apflow.toml", "durabilty = 'power'", "no setting 'durabilty'. Did you mean durability?"),
        ("apflow.toml", "store = 'x'", "Did you mean database_url?"),
        ("apflow.toml", "zzz = 1", "There are database_url, state_dir"),
        ("apflow.toml", "origins = {}", "no setting 'origins'"),
        ("apflow.toml", "durability = 'fast'", r"durability \(apflow.toml\)"),
        (CONFIG, "state_dir = 7", r"state_dir \(.*config.toml\)"),
        ("apflow.toml", "oops", "apflow.toml cannot be read: .*line 1"),
        ("pyproject.toml", "[tool.apflow]\nlimit = 1", "no setting 'limit'"),
        (CONFIG, "imports = 'jobs'", r"imports \(.*config.toml\)"),
        (".env", "APFLOW_DURABILTY=power", "APFLOW_DURABILTY is no setting"),
    ],
)
def test_a_mistake_is_named_with_its_place(name: str, text: str, message: str, place: Path) -> None:
    write(place, name, f"{text}\n")
    with pytest.raises(InvalidInput, match=message):
        load_settings()


def test_a_variable_with_our_prefix_that_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APFLOW_DATABSE_URL", "x.db")
    with pytest.raises(InvalidInput, match=r"Did you mean APFLOW_DATABASE_URL\?"):
        load_settings()


@pytest.mark.parametrize(
    "variable", ["APFLOW_PG_BIN", "APFLOW_TEST_DSN", "APFLOW_IDEMPOTENCY_KEY", "AIPARTNERUPFLOW_X"]
)
def test_variables_that_something_else_reads_are_left_alone(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "something")
    assert load_settings().origins == {}


def test_no_message_repeats_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APFLOW_COMMAND_ENABLED", "hunter2hunter2")
    monkeypatch.setenv("APFLOW_DURABILITY", "hunter2hunter2")
    with pytest.raises(InvalidInput) as caught:
        Settings()
    assert "hunter2" not in str(caught.value)
    assert "command_enabled (APFLOW_COMMAND_ENABLED)" in str(caught.value)
    assert "durability (APFLOW_DURABILITY)" in str(caught.value)
