//! Order: what must come first comes first, everything else stays in the author's order.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;

/// The positions of `nodes` in an order in which every node follows its dependencies. Of the nodes that are ready, the
/// first in the given order goes first, so that equal inputs give equal plans. Dependencies that are no nodes are
/// ignored; circles, which the configuration refuses, come last in the given order.
#[must_use]
pub fn topological<'n>(nodes: &[(&'n Address, &'n [Address])]) -> Vec<usize> {
    let position: BTreeMap<&Address, usize> = nodes.iter().enumerate().map(|(n, (a, _))| (*a, n)).collect();
    let mut waiting = vec![0usize; nodes.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (n, (_, dependencies)) in nodes.iter().enumerate() {
        for dependency in dependencies.iter().filter_map(|d| position.get(d)) {
            waiting[n] += 1;
            dependents[*dependency].push(n);
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|n| waiting[*n] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(n) = ready.pop_first() {
        order.push(n);
        for dependent in &dependents[n] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.insert(*dependent);
            }
        }
    }
    if order.len() < nodes.len() {
        let placed: BTreeSet<usize> = order.iter().copied().collect();
        order.extend((0..nodes.len()).filter(|n| !placed.contains(n)));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(edges: &[(&str, &[&str])]) -> String {
        let own: Vec<(Address, Vec<Address>)> =
            edges.iter().map(|(n, d)| (Address::new("t", *n), d.iter().map(|d| Address::new("t", *d)).collect())).collect();
        let nodes: Vec<(&Address, &[Address])> = own.iter().map(|(a, d)| (a, d.as_slice())).collect();
        topological(&nodes).into_iter().map(|n| edges[n].0).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn dependencies_first_then_the_given_order() {
        assert_eq!(order(&[("c", &[]), ("a", &[]), ("b", &[])]), "c a b");
        assert_eq!(order(&[("c", &["a"]), ("b", &[]), ("a", &[])]), "b a c");
        assert_eq!(order(&[("d", &["b", "c"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])]), "a c b d");
        assert_eq!(order(&[("a", &["elsewhere"])]), "a");
        assert_eq!(order(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), "c a b");
    }

    proptest! {
        #[test]
        fn every_node_once_and_after_its_dependencies(edges in proptest::collection::vec(proptest::collection::vec(0usize..100, 0..4), 1..40)) {
            // A node may depend only on later ones, so there is no circle and the given order is never the answer.
            let addresses: Vec<Address> = (0..edges.len()).map(|n| Address::new("t", format!("k{n}"))).collect();
            let dependencies: Vec<Vec<Address>> = edges.iter().enumerate().map(|(n, list)| {
                list.iter().map(|d| n + 1 + d).filter(|d| *d < edges.len()).map(|d| addresses[d].clone()).collect()
            }).collect();
            let nodes: Vec<(&Address, &[Address])> = addresses.iter().zip(&dependencies).map(|(a, d)| (a, d.as_slice())).collect();
            let order = topological(&nodes);
            let mut place = vec![usize::MAX; nodes.len()];
            for (at, n) in order.iter().enumerate() {
                prop_assert_eq!(place[*n], usize::MAX);
                place[*n] = at;
            }
            for (n, list) in dependencies.iter().enumerate() {
                for d in list {
                    let d = addresses.iter().position(|a| a == d).unwrap();
                    prop_assert!(place[d] < place[n]);
                }
            }
        }
    }
}
