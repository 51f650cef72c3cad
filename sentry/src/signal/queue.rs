//! Queues of pending signals: one bit for a standard signal with the first `siginfo`, every instance for a real-time one.

use std::collections::VecDeque;

use abi::signal::{SigInfo, SigSet, Signal};

use super::action::SYNCHRONOUS_SIGNALS;

/// Signals that were sent and not yet delivered.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    infos: VecDeque<SigInfo>,
}

/// What became of a signal that was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It is pending with its information.
    Queued,
    /// The same standard signal was already pending: this one is lost, as it should be.
    Merged,
    /// There was no room for its information; it is pending without.
    Bare,
}

impl Pending {
    /// Which signals are pending.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// How many records are queued (`SigQ` of `/proc/PID/status`).
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Makes a signal pending; `has_room` says whether a record may be queued for it.
    pub fn push(&mut self, signal: Signal, info: &SigInfo, has_room: bool) -> Pushed {
        if !signal.is_realtime() && self.set.contains(signal) {
            return Pushed::Merged;
        }
        self.set.add(signal);
        if !has_room {
            return Pushed::Bare;
        }
        self.infos.push_back(*info);
        Pushed::Queued
    }

    /// Makes a timer's signal pending. A timer has one record at the most, so they do not merge with others' of the number.
    pub fn push_of_timer(&mut self, signal: Signal, info: &SigInfo) {
        self.set.add(signal);
        self.infos.push_back(*info);
    }

    /// The signal to deliver next among those not in `blocked`: synchronous ones first, then the lowest number.
    pub fn next(&self, blocked: SigSet) -> Option<Signal> {
        let ready = self.set.without(blocked);
        ready.and(SYNCHRONOUS_SIGNALS).first().or(ready.first())
    }

    /// A synchronous signal that the kernel raised: it must be delivered first, while the registers are those of the fault.
    pub fn next_synchronous(&self, blocked: SigSet) -> Option<Signal> {
        let ready = self.set.without(blocked).and(SYNCHRONOUS_SIGNALS);
        if ready.is_empty() {
            return None;
        }
        let raised = self.infos.iter().filter(|info| info.code > SigInfo::SI_USER);
        raised.filter_map(|info| Signal::new(info.signo as u64)).find(|&signal| ready.contains(signal))
    }

    /// Takes the oldest instance of `signal`.
    pub fn take(&mut self, signal: Signal) -> Option<SigInfo> {
        if !self.set.contains(signal) {
            return None;
        }
        let of_signal = |info: &SigInfo| info.signo == i32::from(signal.number());
        let info = self.infos.iter().position(of_signal).and_then(|at| self.infos.remove(at));
        if !self.infos.iter().any(of_signal) {
            self.set.remove(signal);
        }
        // Without a record Linux reports a `kill` by nobody.
        Some(info.unwrap_or_else(|| SigInfo::from_sender(signal, SigInfo::SI_USER, 0, 0)))
    }

    /// Throws away all signals of `set`.
    pub fn flush(&mut self, set: SigSet) {
        if self.set.and(set).is_empty() {
            return;
        }
        self.set = self.set.without(set);
        self.infos.retain(|info| !Signal::new(info.signo as u64).is_some_and(|signal| set.contains(signal)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u64, code: i32) -> (Signal, SigInfo) {
        let signal = Signal::new(number).unwrap();
        (signal, SigInfo::new(signal, code))
    }

    fn push(pending: &mut Pending, number: u64, code: i32) -> Pushed {
        let (signal, info) = info(number, code);
        pending.push(signal, &info, true)
    }

    #[test]
    fn standard_signals_merge_and_keep_the_first_record() {
        let mut pending = Pending::default();
        assert_eq!(push(&mut pending, 10, 1), Pushed::Queued);
        assert_eq!(push(&mut pending, 10, 2), Pushed::Merged);
        assert_eq!(pending.take(Signal::SIGUSR1).unwrap().code, 1);
        assert!(pending.take(Signal::SIGUSR1).is_none());
        assert!(pending.is_empty());
    }

    #[test]
    fn realtime_signals_queue_in_order() {
        let mut pending = Pending::default();
        for code in 1..=3 {
            assert_eq!(push(&mut pending, 40, code), Pushed::Queued);
        }
        let signal = Signal::new(40).unwrap();
        let codes: Vec<i32> = std::iter::from_fn(|| pending.take(signal)).map(|info| info.code).collect();
        assert_eq!(codes, [1, 2, 3]);
    }

    #[test]
    fn a_signal_without_room_is_pending_without_a_record() {
        let mut pending = Pending::default();
        let (signal, record) = info(40, 7);
        assert_eq!(pending.push(signal, &record, false), Pushed::Bare);
        assert_eq!(pending.take(signal).unwrap().code, SigInfo::SI_USER);
        assert!(pending.is_empty());
    }

    #[test]
    fn the_lowest_number_comes_first_but_faults_before_it() {
        let mut pending = Pending::default();
        push(&mut pending, 40, 0);
        push(&mut pending, 2, 0);
        assert_eq!(pending.next(SigSet::EMPTY), Some(Signal::SIGINT));
        push(&mut pending, 11, 0);
        assert_eq!(pending.next(SigSet::EMPTY), Some(Signal::SIGSEGV));
        assert_eq!(pending.next_synchronous(SigSet::EMPTY), None);
        assert_eq!(pending.next(SigSet::of(Signal::SIGSEGV)), Some(Signal::SIGINT));
    }

    #[test]
    fn flushing_removes_records_too() {
        let mut pending = Pending::default();
        push(&mut pending, 40, 0);
        push(&mut pending, 40, 0);
        push(&mut pending, 18, 0);
        pending.flush(SigSet::of(Signal::new(40).unwrap()));
        assert_eq!((pending.set(), pending.len()), (SigSet::of(Signal::SIGCONT), 1));
    }
}
