"""The conformance suite that ships, run for every connector of the catalogue."""

from __future__ import annotations

import pytest

from connectors.testing import *  # noqa: F403 - the tests and fixtures of the suite, whatever they are

pytestmark = pytest.mark.integration
