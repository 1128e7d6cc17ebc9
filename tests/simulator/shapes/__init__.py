"""What the REST API shows of each thing, with every field its description requires"""
