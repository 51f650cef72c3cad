//! What must hold of the table as a whole.

use super::prefetch::{Action, STEPS, Step, steps};
use super::*;
use crate::nr;

#[test]
fn numbers_rise_and_names_are_unique() {
    for (i, call) in CALLS.iter().enumerate() {
        assert!(CALLS[..i].iter().all(|c| c.name != call.name && c.number < call.number), "{}", call.name);
        assert!(core::ptr::eq(by_number(call.number.into()).unwrap(), call));
        assert!(core::ptr::eq(by_name(call.name).unwrap(), call));
    }
    assert_eq!(CALLS.len(), 383);
    assert!(by_number(400).is_none() && by_number(1 << 30).is_none() && by_number(u64::MAX).is_none());
}

#[test]
fn no_number_of_the_two_ranges_is_missing() {
    for number in (0..=336).chain(424..=469) {
        assert!(by_number(number).is_some(), "{number}");
    }
}

#[test]
fn lengths_name_another_argument_of_the_call() {
    for call in CALLS {
        assert!(call.args.len() <= 6, "{}", call.name);
        for (i, kind) in call.args.iter().enumerate() {
            let other = match *kind {
                Kind::BufIn(l) | Kind::BufOut(l) | Kind::BufInOut(l) => match l {
                    Length::Arg(a) | Length::Returned(a) | Length::Bits(a) => a,
                    Length::AtArg(a) => {
                        assert!(matches!(call.args[a as usize], Kind::StructInOut(Struct::Int)), "{}", call.name);
                        a
                    }
                },
                Kind::ArrayIn(_, a)
                | Kind::ArrayOut(_, a)
                | Kind::ArrayInOut(_, a)
                | Kind::IovIn(a)
                | Kind::IovOut(a) => a,
                _ => continue,
            } as usize;
            assert_ne!(other, i, "{}", call.name);
            let counts =
                matches!(call.args[other], Kind::Size | Kind::UInt | Kind::Int | Kind::Long | Kind::StructInOut(_));
            assert!(counts, "{}: argument {other} is no length", call.name);
        }
    }
}

#[test]
fn prefetch_follows_the_table() {
    let write = steps(nr::__NR_write.into());
    assert_eq!((write[0].action, write[0].arg(), write[0].count_arg()), (Action::Buffer, 1, 2));
    assert_eq!(write[1].action, Action::End);
    let rename = steps(nr::__NR_renameat2.into());
    assert_eq!((rename[0].arg(), rename[1].arg(), rename[2].action), (1, 3, Action::End));
    let poll = steps(nr::__NR_poll.into());
    assert_eq!((poll[0].action, poll[0].size, poll[0].count_arg()), (Action::Array, 8, 1));
    assert!(steps(u64::MAX).iter().all(|s| s.action == Action::End));
    assert_eq!(core::mem::size_of::<[Step; STEPS]>(), 16);
}

#[test]
fn flag_sets_name_each_value_once() {
    for call in CALLS {
        for kind in call.args {
            if let Kind::Flags(set) | Kind::Choice(set) = kind {
                for (i, (name, value)) in set.members.iter().enumerate() {
                    assert!(set.members[..i].iter().all(|(n, v)| n != name && v != value), "{}: {name}", set.name);
                }
            }
        }
    }
}
