.PHONY: help setup run test check bench bench-contexts train train-report docs lock
help setup run test check bench bench-contexts docs lock: ; @./dev $@ $(ARGS)
train train-report: ; @./dev $@ DATA="$(DATA)"
