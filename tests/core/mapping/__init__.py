"""Tests of lsm_core.mapping."""
