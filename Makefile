.PHONY: help setup run test check bench train train-report docs lock
help setup run test check bench docs lock: ; @./dev $@ $(ARGS)
train train-report: ; @./dev $@ DATA="$(DATA)"
