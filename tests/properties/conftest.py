from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every run: a failure is a failure of the change that is tested, not of the day.
settings.register_profile(
    "steady",
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")
