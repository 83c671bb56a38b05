"""Settings: what an operator decides, from flags, the environment and files, each with its origin.

The first that names a key wins:

    flags
    environment     APFLOW_…, then AIPARTNERUPFLOW_…, then DATABASE_URL
    ./.env          the same names
    ./apflow.toml, then [tool.apflow] of ./pyproject.toml
    ~/.config/apflow/config.toml
    defaults

Whoever can write into the working directory need not be the operator: its three files may not say
what is imported, which programs may be run, or where secrets lie.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..domain.errors import InvalidInput, StoreUnavailable
from .settings_sources import CONFIG, Layer, check_url, dotenv, environment, toml

LOCAL_FOLDER = Path(".apflow")
"""Where it exists in the working directory, the store lies in it."""

STORE_FILE = "apflow.db"
FLAG = "a flag"


class Settings(BaseSettings):
    """What was decided. Raises `InvalidInput`: which setting is wrong and where, not its value."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: str | None = Field(default=None, repr=False)
    """The store; it may hold a password."""
    state_dir: Path = Path("~/.local/state/apflow")
    imports: tuple[str, ...] = ()
    """Modules that register executors."""
    durability: Literal["power", "process"] = "power"
    command_enabled: bool = False
    command_allow: tuple[tuple[str, ...], ...] = ()
    """Which commands tasks may run; the command executor says how patterns are written."""
    command_roots: tuple[str, ...] = ()
    """Folders in which commands may be told to work."""
    command_env: tuple[str, ...] = ()
    """Variables that tasks may set for commands."""
    command_memory: Annotated[int, Field(ge=1 << 20)] | None = None
    """Bytes of address space of each process of a command."""
    ssh_known_hosts: Path | None = None
    """Keys of the hosts that tasks may reach by SSH, as OpenSSH writes them."""
    ssh_key_roots: tuple[str, ...] = ()
    """Folders with private keys that tasks may name as ``key_file``."""
    docker_enabled: bool = False
    docker_socket: Path = Path("/var/run/docker.sock")
    docker_roots: tuple[str, ...] = ()
    """Folders of this machine that containers may see; with ``:rw`` at the end, change as well."""
    docker_networks: tuple[str, ...] = ()
    docker_images: tuple[str, ...] = ()
    """Patterns such as ``registry.example.com/*``; without any every image may be used."""
    demo_sleep_scale: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Executors that seem to work in a demo take so many times as long as they say."""
    host: str = "127.0.0.1"
    """Where `apflow serve` listens."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    allowed_hosts: tuple[str, ...] = ()
    """Further names by which the server may be called."""
    auth: Literal["token", "none"] = "token"
    """``none``: whoever reaches the server is its admin; on loopback only."""
    jwt_secret: SecretStr | None = None
    """Of JSON Web Tokens, HS256: at least 32 bytes."""
    jwt_audience: str = "apflow"
    max_streams: Annotated[int, Field(ge=1)] = 1_000
    """Live streams under one token at once."""
    webhook_secret: SecretStr | None = None
    """Webhooks are signed with it; without one, with a key made in the state directory."""
    private_targets: tuple[str, ...] = ()
    """Networks (CIDR) or names that are not public, and that tasks and webhooks may reach."""
    tls_ca_file: Path | None = None
    """Further authorities (PEM) whose certificates tasks and webhooks trust."""
    mcp_servers: Mapping[str, Mapping[str, Any]] = {}
    """MCP servers that tasks may name: the program of each."""
    secrets: Mapping[str, Mapping[str, Any]] = {}
    """What tasks may name as ``$secret``: where it lies, and who may have it."""
    server_url: str | None = None
    """The server that the command line talks to."""
    server_token: SecretStr | None = None
    origins: Mapping[str, str] = Field(default={}, repr=False)
    """Where each value comes from that is not a default."""

    @field_validator("state_dir")
    @classmethod
    def _at_home(cls, path: Path) -> Path:
        return path.expanduser()

    @model_validator(mode="wrap")
    @classmethod
    def _plainly(cls, data: Any, handler: ModelWrapValidatorHandler["Settings"]) -> "Settings":
        try:
            settings = handler(data)
        except ValidationError as error:
            raise InvalidInput(_explain(error, data.get("origins", {}))) from None
        if settings.database_url is not None:
            check_url(settings.database_url, settings.origins.get("database_url", FLAG))
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Our layers in place of the library's, which know neither origins nor trust."""
        return (
            init_settings,
            Layer(settings_cls, environment()),
            Layer(settings_cls, dotenv(Path(".env"))),
            Layer(settings_cls, toml(Path("apflow.toml"))),
            Layer(settings_cls, toml(Path("pyproject.toml"), ("tool", "apflow"))),
            Layer(settings_cls, toml(CONFIG, trusted=True)),
        )

    @property
    def names_a_store(self) -> bool:
        """Whether somebody chose the store, so that a missing one is a mistake."""
        return self.database_url is not None

    def store_url(self) -> str:
        """The store as it was named, else the default one, whose directory is made."""
        if self.database_url is not None:
            return self.database_url
        if LOCAL_FOLDER.is_dir():
            return f"sqlite:///{LOCAL_FOLDER / STORE_FILE}"
        return f"sqlite:///{self.private_state_dir() / STORE_FILE}"

    def private_state_dir(self) -> Path:
        """The state directory, made if need be, for its owner only."""
        try:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"the state directory {self.state_dir} cannot be made: {error.strerror}. "
                "Name another one in APFLOW_STATE_DIR, or a store with --store."
            ) from error
        return self.state_dir

    def for_executors(self) -> dict[str, Any]:
        """What built-in executors are told, by the names of the variables."""
        return {
            "APFLOW_COMMAND_ENABLED": self.command_enabled,
            "APFLOW_COMMAND_ALLOW": self.command_allow,
            "APFLOW_COMMAND_ROOTS": self.command_roots,
            "APFLOW_COMMAND_ENV": self.command_env,
            "APFLOW_COMMAND_MEMORY": self.command_memory,
            "APFLOW_SSH_KNOWN_HOSTS": self.ssh_known_hosts,
            "APFLOW_SSH_KEY_ROOTS": self.ssh_key_roots,
            "APFLOW_DOCKER_ENABLED": self.docker_enabled,
            "APFLOW_DOCKER_SOCKET": self.docker_socket,
            "APFLOW_DOCKER_ROOTS": self.docker_roots,
            "APFLOW_DOCKER_NETWORKS": self.docker_networks,
            "APFLOW_DOCKER_IMAGES": self.docker_images,
            "APFLOW_MCP_SERVERS": self.mcp_servers,
            "APFLOW_SECRETS": self.secrets,
            "APFLOW_PRIVATE_TARGETS": self.private_targets,
            "APFLOW_TLS_CA_FILE": self.tls_ca_file,
            "APFLOW_DEMO_SLEEP_SCALE": self.demo_sleep_scale,
        }


def load_settings(**flags: Any) -> Settings:
    """The settings as they stand now; a flag that is None was not given. Raises `InvalidInput`."""
    given = {key: value for key, value in flags.items() if value is not None}
    return Settings(**given, origins=dict.fromkeys(given, FLAG))


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """Each setting that is wrong, where it stands, and the rule that it breaks."""
    lines = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        key, *path = (str(part) for part in item["loc"])
        where = f"{'.'.join([key, *path])} ({origins.get(key, FLAG)})"
        lines.append(f"the setting {where} is not usable: {item['msg']}")
    return "; ".join(lines)
