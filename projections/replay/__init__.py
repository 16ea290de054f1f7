"""Replay: build projections anew from the log, beside the ones that serve, while everything runs.

`plan` says what would happen, `run` builds, `verify` compares with the log, `projections.switching` lets the new
generation serve. The command line is a thin layer over these modules.
"""
