"""Observe, attribute, judge, prove, report."""
