"""The HTTP service of `prosam api`: references become concepts, photographs become masks.

    forms       the parts of a request's form (multipart/form-data)
    questions   what a form asks for: to learn a concept, or to segment an image
    concepts    concepts by name, in memory and in a folder
    batches     requests that wait, in a queue of limited length; those that are alike are answered together
    service     the model's answers
    replies     an answer as JSON or as a PNG
    metrics     counters and times in Prometheus's text format
    keys        the key that a client must send
    openapi     a description of the addresses; page/ shows it in a browser
    app         the addresses

`prosam/web/` has what the service shares with the page of `prosam demo`. This package needs the extra `demo`.
"""
