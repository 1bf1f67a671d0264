//! The operations on documents and their versions.

use hyper::Method;

use super::document_types::{
    Changed, CopyDocumentBody, DOCUMENT, Document, EditTextBody, MergeUpdateBody,
    PatchDocumentBody, RESET,
};
use super::endpoints::{Endpoint, MakeSchema, Operation, Parameter, Said, get, schema};
use super::version_types::{
    COMPARED, Comparison, NameVersionBody, ONE, READ, RestoreVersionBody, SaveVersionBody,
    VERSIONS, Version, VersionContent, Versions,
};
use crate::config::Scope;

const fn edit(
    operation: Operation,
    (id, path): (&'static str, &'static str),
    summary: &'static str,
    body: MakeSchema,
) -> Endpoint {
    let (scope, answer) = (Scope::Publish, Said::Json(schema::<Changed>));
    let (method, parameters, body) = (Method::POST, &[DOCUMENT[0]], Some(body));
    let errors = &[404, 409, 413, 422, 429, 500, 503];
    Endpoint { operation, id, method, path, scope, summary, parameters, body, answer, errors }
}

const fn on_version(
    operation: Operation,
    (id, path): (&'static str, &'static str),
    method: Method,
    summary: &'static str,
    (body, answer): (Option<MakeSchema>, MakeSchema),
    parameters: &'static [Parameter],
) -> Endpoint {
    let (scope, answer) = (Scope::Publish, Said::Json(answer));
    let errors = &[404, 409, 413, 422, 429, 500, 503];
    Endpoint { operation, id, method, path, scope, summary, parameters, body, answer, errors }
}

/// All of them.
pub(super) static DOCUMENT_ENDPOINTS: [Endpoint; 13] = [
    get(
        Operation::Document,
        ("getDocument", "/documents/{channel}", Scope::History),
        "Read a document that several edit at once: as JSON, as plain text, or as a Yjs update",
        &DOCUMENT,
        schema::<Document>,
        &[404, 413, 429, 500, 503],
    ),
    edit(
        Operation::DocumentUpdate,
        ("updateDocument", "/documents/{channel}/update"),
        "Merge a Yjs update into a document; answered when it is stored",
        schema::<MergeUpdateBody>,
    ),
    edit(
        Operation::DocumentText,
        ("editDocument", "/documents/{channel}/text"),
        "Edit a text of a document, beside those who are writing there",
        schema::<EditTextBody>,
    ),
    edit(
        Operation::DocumentPatch,
        ("patchDocument", "/documents/{channel}/patch"),
        "Change a map or a list of a document: JSON Patch (RFC 6902)",
        schema::<PatchDocumentBody>,
    ),
    edit(
        Operation::DocumentCopy,
        ("copyDocument", "/documents/{channel}/copy"),
        "Have another document hold what this one holds; needs the scope `history`, too",
        schema::<CopyDocumentBody>,
    ),
    Endpoint {
        operation: Operation::DocumentReset,
        id: "resetDocument",
        method: Method::DELETE,
        path: "/documents/{channel}",
        scope: Scope::Publish,
        summary: "Throw a document and its versions away, for its editors too: from then on it is another one",
        parameters: &RESET,
        body: None,
        answer: Said::Json(schema::<Changed>),
        errors: &[404, 409, 429, 503],
    },
    get(
        Operation::DocumentVersions,
        ("listDocumentVersions", "/documents/{channel}/versions", Scope::History),
        "List a document's versions, the newest first, and who has changed it since",
        &VERSIONS,
        schema::<Versions>,
        &[404, 429, 503],
    ),
    on_version(
        Operation::DocumentVersionSave,
        ("saveDocumentVersion", "/documents/{channel}/versions"),
        Method::POST,
        "Keep what a document holds now as a version; needs the scope `history`, too",
        (Some(schema::<SaveVersionBody>), schema::<Version>),
        &[DOCUMENT[0]],
    ),
    get(
        Operation::DocumentVersion,
        ("getDocumentVersion", "/documents/{channel}/versions/{version}", Scope::History),
        "Read a version of a document: as JSON, as plain text, or as a Yjs update",
        &READ,
        schema::<VersionContent>,
        &[404, 429, 500, 503],
    ),
    on_version(
        Operation::DocumentVersionName,
        ("nameDocumentVersion", "/documents/{channel}/versions/{version}"),
        Method::PATCH,
        "Give a version of a document a name, or another one; needs the scope `history`, too",
        (Some(schema::<NameVersionBody>), schema::<Version>),
        &ONE,
    ),
    on_version(
        Operation::DocumentVersionDelete,
        ("deleteDocumentVersion", "/documents/{channel}/versions/{version}"),
        Method::DELETE,
        "Delete a version of a document; needs the scope `history`, too",
        (None, schema::<Changed>),
        &ONE,
    ),
    get(
        Operation::DocumentVersionCompare,
        (
            "compareDocumentVersion",
            "/documents/{channel}/versions/{version}/compare",
            Scope::History,
        ),
        "Compare a version of a document with another one, or with the document: as text, by words",
        &COMPARED,
        schema::<Comparison>,
        &[404, 429, 500, 503],
    ),
    on_version(
        Operation::DocumentVersionRestore,
        ("restoreDocumentVersion", "/documents/{channel}/versions/{version}/restore"),
        Method::POST,
        "Have a document hold what a version held; needs the scope `history`, too",
        (Some(schema::<RestoreVersionBody>), schema::<Changed>),
        &ONE,
    ),
];
