"""Tests of lsm_core.query."""
