.PHONY: help setup run test check bench bench-contexts bench-gate train train-report docs lock
help setup run test check bench bench-contexts bench-gate docs lock: ; @./dev $@ $(ARGS)
train train-report: ; @./dev $@ DATA="$(DATA)"
