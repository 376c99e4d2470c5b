//! The RBAC objects that give an identity the right that it was refused.

use crate::watch::node::{ANONYMOUS, refused_user};

/// Which Nodes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// The one of this name.
    Own(&'a str),
    /// All of them.
    All,
}

/// Who is to be given a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user: the common name of a certificate, or what another way to log in says.
    User(String),
    /// A service account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What the user name of a service account begins with.
/// Source: Kubernetes, "Using RBAC Authorization", "Referring to subjects".
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

impl Subject {
    /// Who was refused, by the API server's message (`User "…" cannot list resource …`) or, where that
    /// does not say, by the common name of the client certificate. `None` when neither says, and
    /// when it is nobody in particular: a right for those is one for everybody.
    pub fn refused(message: &str, common_name: Option<&str>) -> Option<Self> {
        let user = refused_user(message).or(common_name).filter(|user| !user.is_empty() && *user != ANONYMOUS)?;
        let account = user.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
        Some(match account {
            Some((namespace, name)) => {
                Subject::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            None => Subject::User(user.to_owned()),
        })
    }

    /// The user name by which the server knows it.
    pub fn user(&self) -> String {
        match self {
            Subject::User(name) => name.clone(),
            Subject::ServiceAccount { namespace, name } => format!("{SERVICE_ACCOUNT}{namespace}:{name}"),
        }
    }
}

/// A ClusterRole that lets Nodes be read, and its binding to the one who is to be given it. One YAML
/// document, a `List`, so that it can be applied with whatever indentation it was copied.
pub fn objects(reach: Reach<'_>, subject: &Subject) -> String {
    let (role, names) = match reach {
        Reach::Own(node) => (format!("nodedns-node:{node}"), format!("    resourceNames: [{}]\n", quoted(node))),
        Reach::All => ("nodedns-nodes".to_owned(), String::new()),
    };
    // For each identity its own binding, so that one does not replace another's.
    let binding = format!("{role}:{}", segment(&subject.user()));
    let who = match subject {
        Subject::User(name) => {
            format!("  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: {}\n", quoted(name))
        }
        Subject::ServiceAccount { namespace, name } => {
            format!("  - kind: ServiceAccount\n    name: {}\n    namespace: {}\n", quoted(name), quoted(namespace))
        }
    };
    let (role, binding) = (quoted(&role), quoted(&binding));
    format!(
        "apiVersion: v1\n\
         kind: List\n\
         items:\n\
         - apiVersion: rbac.authorization.k8s.io/v1\n\
         \x20 kind: ClusterRole\n\
         \x20 metadata:\n\
         \x20   name: {role}\n\
         \x20 rules:\n\
         \x20 - apiGroups: [\"\"]\n\
         \x20   resources: [\"nodes\"]\n\
         {names}\
         \x20   verbs: [\"get\", \"list\", \"watch\"]\n\
         - apiVersion: rbac.authorization.k8s.io/v1\n\
         \x20 kind: ClusterRoleBinding\n\
         \x20 metadata:\n\
         \x20   name: {binding}\n\
         \x20 roleRef:\n\
         \x20   apiGroup: rbac.authorization.k8s.io\n\
         \x20   kind: ClusterRole\n\
         \x20   name: {role}\n\
         \x20 subjects:\n\
         {who}"
    )
}

/// A text that is nothing but a text in YAML, whatever is in it: JSON's form, which is a part of YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text as a part of an RBAC object's name, which is a segment of a path.
fn segment(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-._:@".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn user(name: &str) -> Subject {
        Subject::User(name.to_owned())
    }

    #[test]
    fn one_node_for_a_user_is_what_the_api_takes() {
        let text = objects(Reach::Own("n1.lan"), &user("nodedns:n1"));
        let expected = json!({"apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "nodedns-node:n1.lan"},
                "rules": [{
                    "apiGroups": [""], "resources": ["nodes"], "resourceNames": ["n1.lan"],
                    "verbs": ["get", "list", "watch"]
                }]
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "nodedns-node:n1.lan:nodedns:n1"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nodedns-node:n1.lan"
                },
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nodedns:n1"}]
            }
        ]});
        assert_eq!(parsed(&text), expected);
        // Copied with the blanks that stand before it on the screen.
        let indented: String = text.lines().map(|line| format!("      {line}\n")).collect();
        assert_eq!(parsed(&indented), expected);
    }

    #[test]
    fn all_nodes_for_a_service_account_are_without_names() {
        let account = Subject::ServiceAccount { namespace: "kube-system".into(), name: "nodedns".into() };
        let text = objects(Reach::All, &account);
        let value = parsed(&text);
        assert_eq!(
            value["items"][0]["rules"],
            json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}])
        );
        assert_eq!(
            value["items"][1]["subjects"],
            json!([{"kind": "ServiceAccount", "name": "nodedns", "namespace": "kube-system"}])
        );
        assert_eq!(value["items"][1]["roleRef"]["name"], value["items"][0]["metadata"]["name"]);
    }

    #[test]
    fn whatever_a_name_holds_it_stays_a_name() {
        for name in ["a\"]\nb: c", "yes", "1e3", "x # y", "a: b", "{}", "\u{1b}[2J", "https://issuer/#who"] {
            let value = parsed(&objects(Reach::All, &user(name)));
            assert_eq!(value["items"][1]["subjects"][0]["name"], json!(name));
            let binding = value["items"][1]["metadata"]["name"].as_str().expect("a name");
            assert!(!binding.contains(['/', '%', '\n']), "{binding}");
        }
    }

    #[test]
    fn the_servers_word_goes_before_the_certificates() {
        let refused = |message: &str, name| Subject::refused(message, name);
        let listing = "nodes is forbidden: User \"system:node:n1\" cannot list resource \"nodes\" in API group \"\" at the \
                       cluster scope: node 'n1' cannot read all nodes, only its own Node object";
        assert_eq!(refused(listing, Some("other")), Some(user("system:node:n1")));
        let account =
            "nodes \"n1\" is forbidden: User \"system:serviceaccount:dns:nodedns\" cannot watch resource \"nodes\"";
        let expected = Subject::ServiceAccount { namespace: "dns".into(), name: "nodedns".into() };
        assert_eq!(refused(account, None), Some(expected.clone()));
        assert_eq!(expected.user(), "system:serviceaccount:dns:nodedns");
        assert_eq!(refused("forbidden", Some("alice")), Some(user("alice")));
        assert_eq!(refused("forbidden", None), None);
        // Nobody is given a right whom the server does not know.
        assert_eq!(refused("nodes is forbidden: User \"system:anonymous\" cannot list", None), None);
        assert_eq!(refused("nodes is forbidden: User \"\" cannot list", Some("")), None);
    }
}
