"""A description of the service's addresses, as OpenAPI 3.1 has it."""

from __future__ import annotations

from typing import Any

from prosam import __version__
from prosam.api.questions import MOST_FORM_BYTES
from prosam.web.sent_images import IMAGE_FORMATS, MAX_IMAGE_BYTES, MOST_PIXELS

_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_ABOUT = f"""\
Learn a concept from one or more annotated reference images, and find it in other images.

An image is a file ({", ".join(IMAGE_FORMATS)}) of at most {MAX_IMAGE_BYTES >> 20} MiB and {MOST_PIXELS // 10**6} \
megapixels; a form has at most {MOST_FORM_BYTES >> 20} MiB. Every error is JSON: {{"error": "one line"}}.
"""
_REFERENCE_FIELDS: dict[str, Any] = {
    "reference": _FILE | {"description": "An image that shows the object; its annotation follows. Repeatable."},
    "mask": _FILE | {"description": "Annotation: a PNG of the reference's size, black except where the object is."},
    "box": {
        "type": "string",
        "description": "Annotation: X0,Y0,X1,Y1 around the object, px.",
        "examples": ["10,20,80,90"],
    },
    "point": {
        "type": "string",
        "description": "Annotation: X,Y on the object, px. Repeatable.",
        "examples": ["40,60"],
    },
    "scribble": {
        "type": "string",
        "description": "Annotation: strokes as X,Y X,Y ..., px, repeatable; or a PNG of strokes.",
    },
}
_CONCEPT = {
    "type": "object",
    "required": ["name", "kinds", "digest"],
    "properties": {
        "name": {"type": "string"},
        "kinds": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Kind of each annotation.",
        },
        "digest": {"type": "string", "description": "Of the references and the model that learned them."},
    },
}
_MASK = {
    "type": "object",
    "description": "COCO's compressed run-length code; pycocotools.mask.decode reads it.",
    "required": ["size", "counts"],
    "properties": {
        "size": {"type": "array", "items": {"type": "integer"}, "description": "Height and width, px."},
        "counts": {"type": "string"},
    },
}
_INSTANCE = {
    "type": "object",
    "required": ["box", "area", "score", "mask"],
    "properties": {
        "box": {"type": "array", "items": {"type": "integer"}, "description": "Left, top, width and height, px."},
        "area": {"type": "integer", "description": "Pixels."},
        "score": {"type": "number"},
        "mask": {"$ref": "#/components/schemas/Mask"},
    },
}
_FOUND = {
    "type": "object",
    "required": ["concept", "present", "presence", "score", "mask"],
    "properties": {
        "concept": {"type": "string"},
        "present": {"type": "boolean", "description": "Whether presence reaches the threshold."},
        "presence": {"type": "number", "description": "From 0 to 1."},
        "score": {"type": "number", "description": "Mean probability inside the mask; 0 if it is empty."},
        "mask": {"$ref": "#/components/schemas/Mask"},
        "count": {"type": "integer", "description": "Number of objects, if they were asked for."},
        "instances": {"type": "array", "items": {"$ref": "#/components/schemas/Instance"}},
    },
}
_RESULT = {
    "type": "object",
    "required": ["model", "height", "width", "found"],
    "properties": {
        "model": {"type": "string"},
        "height": {"type": "integer", "description": "Of the image, px."},
        "width": {"type": "integer", "description": "Of the image, px."},
        "found": {"type": "array", "items": {"$ref": "#/components/schemas/Found"}},
    },
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_LEARN_FORM = {
    "type": "object",
    "required": ["name", "reference"],
    "properties": {
        "name": {"type": "string", "description": "Name of the concept."},
        "replace": {"type": "boolean", "description": "Whether a concept of this name may be replaced."},
        **_REFERENCE_FIELDS,
    },
}
_SEGMENT_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": _FILE | {"description": "The image in which to find the concepts."},
        "concept": {"type": "string", "description": "Name of a concept; repeatable. Or send a reference instead."},
        **_REFERENCE_FIELDS,
        "threshold": {
            "type": "number",
            "description": "A concept with a lower presence, from 0 to 1, is absent.",
        },
        "refine": {"type": "boolean", "description": "Whether masks get edges at the image's own resolution."},
        "instances": {"type": "boolean", "description": "Whether each object is found for itself, and counted."},
        "output": {
            "type": "string",
            "enum": ["json", "png"],
            "description": "png: the mask is 255, or concepts, or objects with instances=true, are numbered from 1.",
        },
    },
}


def description() -> dict[str, Any]:
    """The whole description, as JSON values."""
    name = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    concept, concepts = _json("The concept.", _ref("Concept")), {"type": "array", "items": _ref("Concept")}
    concepts = {"type": "object", "required": ["concepts"], "properties": {"concepts": concepts}}
    masks = _json("The masks.", _ref("Result"))
    masks["content"]["image/png"] = {"schema": _FILE}
    masks["headers"] = {
        "prosam-found": {
            "description": "Of a PNG: concept, present, presence, score, and count if asked for, as JSON.",
            "schema": {"type": "string"},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "ProSAM", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"header": []}, {}],
        "paths": {
            "/v1/segment": {
                "post": _operation("segment", "Find concepts in an image", masks, _SEGMENT_FORM, "400 404 413 503")
            },
            "/v1/concepts": {
                "get": _operation("concepts", "List the concepts", _json("The concepts.", concepts)),
                "post": _operation("learn", "Learn a concept", concept, _LEARN_FORM, "400 409 413 503", status="201"),
            },
            "/v1/concepts/{name}": {
                "parameters": name,
                "get": _operation("concept", "Describe a concept", concept, fail="404"),
                "delete": _operation(
                    "forget", "Delete a concept", {"description": "It is deleted."}, fail="404", status="204"
                ),
            },
            "/v1/model": {"get": _operation("model", "Describe the model", _json("The model.", {"type": "object"}))},
            "/health": {
                "get": _operation(
                    "health", "Whether the service runs", _json("It runs.", {"type": "object"}), open=True
                )
            },
            "/metrics": {
                "get": _operation(
                    "measured",
                    "Metrics in Prometheus's text format",
                    {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                )
            },
            "/openapi.json": {
                "get": _operation("openapi", "This description", _json("It.", {"type": "object"}), open=True)
            },
        },
        "components": {
            "schemas": {
                "Concept": _CONCEPT,
                "Mask": _MASK,
                "Instance": _INSTANCE,
                "Found": _FOUND,
                "Result": _RESULT,
                "Error": _ERROR,
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


_FAILURES = {
    "400": "Something in the request is wrong.",
    "401": "The key is missing or wrong.",
    "404": "There is no such concept.",
    "409": "There is a concept of this name already.",
    "413": "The request is too large.",
    "503": "Too many requests wait; Retry-After says in how many seconds to try again.",
}


def _operation(
    name: str,
    summary: str,
    answer: dict[str, Any],
    form: dict[str, Any] | None = None,
    fail: str = "",
    *,
    status: str = "200",
    open: bool = False,
) -> dict[str, Any]:
    failures = [*fail.split(), *([] if open else ["401"])]
    described: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {status: answer, **{code: _json(_FAILURES[code], _ref("Error")) for code in sorted(failures)}},
    }
    if form is not None:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return described | ({"security": []} if open else {})


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
