"""Change single settings of topics and leave the rest alone, which aiokafka's `alter_configs` does not: it resets them.

https://kafka.apache.org/protocol, IncrementalAlterConfigs; brokers have it since Kafka 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from app.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka.admin import AIOKafkaAdminClient

_SET = 0
_TEXT = String("utf-8")


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(("error_code", Int16), ("error_message", _TEXT), ("resource_type", Int8), ("resource_name", _TEXT)),
        ),
    )


class _Wire(RequestStruct):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", _TEXT),
                ("configs", Array(("name", _TEXT), ("config_operation", Int8), ("value", _TEXT))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _Change(Request[_Wire]):  # type: ignore[misc]
    API_KEY = 44

    def __init__(self, resources: list[Any]) -> None:
        self._resources = resources

    def build(self, request_struct_class: type[_Wire]) -> _Wire:
        return request_struct_class(self._resources, False)  # noqa: FBT003 - not only to validate


async def change_config(admin: AIOKafkaAdminClient, changes: Mapping[str, Mapping[str, str]]) -> None:
    """Set what is named, by topic and then by setting; all of a topic at once or none of it.

    Raises ConfigurationError with the brokers' reason, KafkaError.
    """
    resources = [
        (ConfigResourceType.TOPIC, topic, [(name, _SET, value) for name, value in config.items()])
        for topic, config in changes.items()
    ]
    answer = await admin._send_to_controller(_Change(resources))  # noqa: SLF001 - the way of all its own requests
    for code, reason, _, topic in answer.responses:
        if code:
            raise ConfigurationError(
                f"The configuration of {topic} could not be set: {reason or for_code(code).description}."
            )
