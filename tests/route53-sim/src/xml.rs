//! Writes answers.

use quick_xml::escape::escape;

use crate::texts::NAMESPACE;

/// An XML document in the making.
#[derive(Debug)]
pub(crate) struct Writer(String);

impl Writer {
    /// A document of the API's namespace, with what `content` writes inside the root.
    pub(crate) fn document(root: &str, content: impl FnOnce(&mut Self)) -> String {
        Self::document_in(NAMESPACE, root, content)
    }

    /// A document of another namespace.
    pub(crate) fn document_in(namespace: &str, root: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut writer = Self(format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{namespace}\">"));
        content(&mut writer);
        writer.0.push_str(&format!("</{root}>"));
        writer.0
    }

    /// An element with elements inside.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        content(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// An element with text inside.
    pub(crate) fn leaf(&mut self, name: &str, text: impl std::fmt::Display) {
        self.0.push_str(&format!("<{name}>{}</{name}>", escape(text.to_string())));
    }

    /// An element with text inside, if there is one.
    pub(crate) fn optional(&mut self, name: &str, text: Option<impl std::fmt::Display>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }
}
