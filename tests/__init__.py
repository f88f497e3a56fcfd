"""The tests: a package, so that its folders can use what stands in another one."""
