//! When what the Node's annotations say takes effect.

use crate::decide::annotation::{Annotations, Said};
use crate::decide::damping::Steady;
use crate::decide::engine::{Engine, Notice};
use crate::decide::fitness::Conditions;
use crate::decide::node::NodeState;
use crate::decide::observed::Observed;
use crate::decide::time::Moment;

/// What of the annotations counts, and what keeps others from doing so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationsInForce<'a> {
    /// The annotations in force; `None` when none have ever been read.
    pub annotations: Option<&'a Annotations>,
    /// When others take effect, if the Node says the same until then.
    pub others_due: Option<Moment>,
}

impl Engine {
    /// What the Node's annotations say of routing.
    pub fn annotations(&self) -> AnnotationsInForce<'_> {
        AnnotationsInForce { annotations: self.annotations.in_force(), others_due: self.annotations_due() }
    }

    /// Takes in the annotations of a Node's state that has been read.
    pub(super) fn annotated(&mut self, state: &Observed<NodeState>, now: Moment) {
        let seen = state.known().map(|state| match state {
            NodeState::Absent => Annotations::default(),
            NodeState::Present(node) => Annotations::read(node),
        });
        let before = self.annotations.in_force().cloned();
        self.annotations.see(seen, self.policy.timing.settle, now);
        self.tell_mistakes(before.as_ref());
    }

    /// Lets what has stood still take effect.
    pub(super) fn settle_annotations(&mut self, now: Moment) {
        let before = self.annotations.in_force().cloned();
        if self.annotations.settle(self.policy.timing.settle, now) {
            self.tell_mistakes(before.as_ref());
            self.refresh(None, now);
        }
    }

    pub(super) fn annotations_due(&self) -> Option<Moment> {
        self.annotations.due(self.policy.timing.settle)
    }

    fn tell_mistakes(&mut self, before: Option<&Annotations>) {
        let is_known = |mistake| before.is_some_and(|before| before.mistakes.contains(mistake));
        let mistakes = self.annotations.in_force().into_iter().flat_map(|annotations| &annotations.mistakes);
        let new = mistakes.filter(|mistake| !is_known(mistake)).cloned();
        self.notices.extend(new.map(|mistake| Notice::AnnotationMistaken { mistake }));
    }
}

/// What is known of the annotations, for deciding.
pub(super) fn said<'a>(conditions: &Conditions, annotations: &'a Steady<Annotations>) -> Said<'a> {
    match &conditions.node {
        None => Said { known: true, annotations: None },
        Some(node) => Said { known: node.state.is_known(), annotations: annotations.in_force() },
    }
}
