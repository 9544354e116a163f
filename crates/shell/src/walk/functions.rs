//! Functions that a script defines.

use std::rc::Rc;

use super::{Context, Walker};
use crate::{
    analysis::{Via, Word},
    flow::Flow,
};

impl Walker {
    /// Runs the body of a function with its arguments. `None` where there is no such function, or it is running already.
    pub(super) fn call_function(&mut self, name: &str, arguments: &[Word], context: &Context) -> Option<Flow> {
        let function = self.functions.get_mut(name)?;
        function.called = true;
        let body = Rc::clone(&function.body);
        if self.calling.iter().any(|running| running == name) {
            return None;
        }
        self.calling.push(name.to_owned());
        let parameters = self.parameters.replace(arguments.to_vec());
        let flow = self.node(&body, &context.inside(Via::Function));
        self.parameters = parameters;
        self.calling.pop();
        Some(flow)
    }

    /// Functions that nobody called may be called later: their bodies count, with arguments that are not known.
    pub(super) fn uncalled(&mut self, context: &Context) {
        loop {
            let next = self.functions.iter_mut().find(|(_, function)| !function.called);
            let Some((_, function)) = next else { return };
            function.called = true;
            let body = Rc::clone(&function.body);
            self.parameters = None;
            self.maybe += 1;
            self.node(&body, &context.inside(Via::Function));
            self.maybe -= 1;
        }
    }
}
