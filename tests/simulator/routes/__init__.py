"""The REST routes, by subject"""
