//! What happens to the Node, by kubectl and by its kubelet, and what DNS makes of it.
