"""GitHub's GraphQL API: the part of the schema that a review bot asks"""
