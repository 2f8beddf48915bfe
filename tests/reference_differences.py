"""Where lnd's mailbox keeps less than the contract promises: the table.

Each row has a demonstration in `test_reference.py` or `test_reference_orchestrator.py`, which
runs one script on lnd's mailbox and on ours and compares both outcomes. The conformance tests of
a row are not run on lnd's, where some would hang.
"""

from __future__ import annotations

import attrs

__all__ = ["DIFFERENCES", "Difference", "listed"]


def _names(names: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in names.strip().splitlines())


@attrs.frozen(kw_only=True)
class Difference:
    """One thing that lnd does otherwise."""

    promise: str
    """The promise that lnd does not keep, by its number."""
    lnd: str
    """What lnd does instead."""
    why: str
    """How that comes, by line of `mailbox.go`."""
    demonstration: str
    """The test that shows both outcomes."""
    tests: tuple[str, ...] = attrs.field(default="", converter=_names)
    """Conformance tests that it fails: a function's name, or the beginning of a test's."""
    guarantee: str = ""
    """The beginning of what `docs/guarantees.md` says of it."""


DIFFERENCES = [
    Difference(
        promise="2",
        lnd="An Add that is on offer goes out before a Settle that came later.",
        why="The courier peeks (429) and stays in its select (507) until the offer is over.",
        demonstration="test_a_settle_waits_behind_an_add_on_offer",
        tests="""
            test_a_reply_that_comes_before_the_receiver_does_overtakes_every_add
            test_replies_go_before_adds
            test_a_batch_has_the_next_items_in_order
            test_a_batch_takes_all_that_was_added_at_once
            test_an_add_and_a_reply_may_share_a_key
        """,
        guarantee="*lnd* chooses before it has a receiver",
    ),
    Difference(
        promise="5",
        lnd="A packet that is on offer when it is acked or failed is delivered all the same.",
        why="`AckPacket` (239) removes it from the queue; the courier has it in its select (507).",
        demonstration="test_an_acked_packet_that_is_on_offer_is_delivered",
        tests="""
            test_an_acked_packet_is_gone[False-
            test_an_ack_removes_a_packet_wherever_it_stands[3-
            test_a_key_is_free_again_after_the_ack
            test_a_key_is_free_again_after_the_add_was_failed
            test_acks_are_counted
            test_an_add_that_is_not_there_is_not_failed
        """,
        guarantee="*lnd* still delivers a packet that was already on offer",
    ),
    Difference(
        promise="5",
        lnd="A packet that was on offer when it was acked is kept until somebody takes it.",
        why="The courier's select (507) holds it.",
        demonstration="test_an_acked_packet_that_is_on_offer_is_kept",
        tests="""
            test_nothing_is_left_of_what_is_acked[False-
            test_a_failed_add_is_forgotten
        """,
    ),
    Difference(
        promise="7",
        lnd="`fail_add` deletes a Settle with the key of the Add and sends a Fail instead. The "
        "Add stays, and gets a second Fail.",
        why="`FailAdd` removes by `AckPacket` (622), which looks among the replies first.",
        demonstration="test_fail_add_eats_a_settle",
        tests="""
            test_failing_an_add_leaves_a_reply_alone
            test_failing_an_add_that_shares_its_key_leaves_the_reply
        """,
        guarantee="*lnd* removes by key alone",
    ),
    Difference(
        promise="7",
        lnd="An Add that expires takes a Settle with its key along.",
        why="The deadline calls `FailAdd` (527).",
        demonstration="test_an_add_that_expires_eats_a_settle",
        tests="test_an_expired_add_that_shares_its_key_leaves_the_reply",
    ),
    Difference(
        promise="9",
        lnd="While a reset waits for its turn, messages and packets go on being delivered.",
        why="A select (453, 507) takes any of its ready cases: a receiver, or the reset.",
        demonstration="test_a_reset_that_waits_for_its_turn",
        guarantee="*lnd* asks its goroutine to reset",
    ),
    Difference(
        promise="11",
        lnd="An Add that came while a reply alone was on offer does not expire until that is "
        "taken.",
        why="Its deadline is made when the courier peeks (504), and the courier is in its select.",
        demonstration="test_an_add_does_not_expire_behind_a_reply",
        tests="test_adds_expire_behind_a_reply_that_nobody_takes",
        guarantee="*lnd* looks for a deadline when it makes an offer",
    ),
    Difference(
        promise="12",
        lnd="An expired Add may be delivered to a receiver that waits: a coin is tossed.",
        why="Both cases of the select (507) are ready, and Go takes a random one.",
        demonstration="test_an_expired_add_and_a_receiver_toss_a_coin",
        tests="""
            test_an_add_that_may_not_wait_at_all_is_failed
            test_a_batch_has_no_add_that_has_expired
            test_time_counts_before_the_start_and_nothing_expires_until_then
            test_a_receiver_that_waits_does_not_get_an_expired_add
        """,
        guarantee="*lnd* tosses a coin",
    ),
    Difference(
        promise="12, 27",
        lnd="While `forward_packets` blocks, nothing is delivered, and a reset hangs.",
        why="The courier that delivers also carries back what has expired (527).",
        demonstration="test_a_busy_switch_stalls_the_mailbox",
        tests="""
            test_while_the_switch_is_busy_nothing_else_stalls
            test_an_expired_add_that_waits_to_be_failed_is_not_delivered
        """,
    ),
    Difference(
        promise="13",
        lnd="What `fail_add` is given makes the failure, not the Add that is in the mailbox.",
        why="`FailAdd` reads obfuscator, circuit and reference of its argument (644, 670).",
        demonstration="test_fail_add_encrypts_for_the_packet_it_is_given",
        tests="""
            test_a_callback_that_fails_its_own_add_finds_it_taken[encrypt_first_hop]
            test_while_an_add_is_being_failed_nobody_else_gets_it
            test_an_add_whose_key_is_used_again_while_it_is_being_failed
        """,
    ),
    Difference(
        promise="5, 13, 15",
        lnd="An Add is out of the mailbox before its failure is made: an ack comes too late, "
        "and what goes wrong then loses it.",
        why="`FailAdd` begins with `AckPacket` (622).",
        demonstration="test_an_add_is_gone_before_its_failure_is_made",
        tests="""
            test_an_add_that_is_acked_while_it_is_being_failed_is_not_failed
            test_an_interrupt_in_a_callback_goes_to_the_caller
            test_statistics_count_what_was_failed_and_what_had_expired
        """,
    ),
    Difference(
        promise="11, 13",
        lnd="An acked Add's deadline fails a later Add with the same key, too early.",
        why="The select (507) still waits for it, and `FailAdd` (527) goes by the key.",
        demonstration="test_a_deadline_outlives_its_add",
    ),
    Difference(
        promise="4, 13",
        lnd="If the link has changed an Add's key, the Add can't expire, and its courier spins.",
        why="`FailAdd` takes the key from the packet (622), finds nothing, and the head is still "
        "the same Add, whose deadline has come (504).",
        demonstration="test_an_add_whose_key_was_changed_spins_the_courier",
        tests="test_the_fail_of_a_changed_add_has_the_key_it_was_added_under",
    ),
    Difference(
        promise="14",
        lnd="The fail packet has neither the obfuscator nor the outgoing ids.",
        why="They are not among the fields that are set (670).",
        demonstration="test_the_fail_packet_misses_obfuscator_and_outgoing_ids",
        tests="""
            test_a_fail_packet_says_where_it_comes_from_and_goes_to
            test_a_forwarded_failure_is_encrypted
        """,
        guarantee="*lnd* does not copy the obfuscator and the outgoing ids.",
    ),
    Difference(
        promise="15",
        lnd="If the failure can't be encrypted, the HTLC is lost: no Fail is sent, ever.",
        why="`FailAdd` logs it and returns (660), and the Add is in no queue.",
        demonstration="test_a_failure_that_can_not_be_encrypted_loses_the_htlc",
        tests="""
            test_an_add_that_can_not_be_encrypted_stays
            test_a_delivered_add_that_can_not_be_encrypted_stays_delivered
            test_an_encryption_that_returns_no_reason_is_one_that_failed
            test_an_expired_add_that_can_not_be_encrypted_is_tried_again
            test_an_expired_add_that_can_not_be_encrypted_is_tried_again_after_a_reset
            test_an_expired_add_that_can_not_be_encrypted_can_be_acked_and_failed
            test_a_receiver_is_woken_by_an_add_that_could_not_be_failed
            test_a_reset_while_an_add_is_being_failed_in_vain
            test_no_error_in_a_callback_ends_a_courier[ValueError-encrypt_first_hop]
        """,
        guarantee="*lnd* has removed the Add before any of this happens",
    ),
    Difference(
        promise="15",
        lnd="If the failure can't be encoded, the HTLC is lost.",
        why="`FailAdd` logs it and returns (649). (That an update is no update, Go's types rule "
        "out.)",
        demonstration="test_a_failure_that_can_not_be_encoded_loses_the_htlc",
        tests="""
            test_a_failure_that_can_not_be_encoded_becomes_a_smaller_one[too long]
            test_a_failure_that_can_not_be_encoded_becomes_a_smaller_one[no update]
        """,
    ),
    Difference(
        promise="16",
        lnd="What a callback raises that is no ordinary error ends the courier.",
        why="In Go it is a panic, which ends the process; the deferred close (353) comes first.",
        demonstration="test_a_panic_in_a_callback_ends_the_courier",
        tests="""
            test_no_error_in_a_callback_ends_a_courier[SystemExit-
            test_no_error_in_a_callback_ends_a_courier[KeyboardInterrupt-
            test_no_error_in_a_callback_ends_a_courier[GeneratorExit-
        """,
    ),
    Difference(
        promise="17",
        lnd="`stop` before `start` waits for ever.",
        why="It waits for couriers that were never started (326).",
        demonstration="test_stop_before_start_hangs",
        tests="""
            test_a_stop_needs_no_start_and_may_be_repeated
            test_a_stop_wakes_every_receiver[False]
            test_an_empty_mailbox_counts_zero
        """,
        guarantee="*lnd* waits for ever if the mailbox was never started or if a callback",
    ),
    Difference(
        promise="17",
        lnd="`stop` in a courier's callback waits for ever, and so does every other `stop`.",
        why="The courier waits for its own end (326).",
        demonstration="test_stop_in_a_callback_deadlocks",
        tests="""
            test_a_callback_may_stop_its_mailbox
            test_callbacks_may_stop_each_others_mailboxes
        """,
        guarantee="*lnd* waits for ever if the mailbox was never started or if a callback",
    ),
    Difference(
        promise="17",
        lnd="`stop` does not stand still while it waits: it signals every millisecond.",
        why="`signalUntilShutdown` (323).",
        demonstration="test_stop_signals_until_the_courier_has_ended",
        tests="""
            test_many_threads_may_stop_a_mailbox
            test_no_thread_is_left_by_a_stopped_mailbox
            test_the_part_of_a_stop_that_does_not_block_ends_delivery
        """,
    ),
    Difference(
        promise="27",
        lnd="A reset in a courier's callback waits for ever.",
        why="The courier waits for itself to answer (226).",
        demonstration="test_a_reset_in_a_callback_deadlocks",
        tests="test_a_callback_may_call_everything",
    ),
    Difference(
        promise="18",
        lnd="What is added after `stop` is accepted, and never delivered.",
        why="`AddMessage` and `AddPacket` (549, 567) do not look at `quit`.",
        demonstration="test_what_is_added_after_stop_is_swallowed",
        tests="test_after_the_stop_nothing_is_accepted",
        guarantee="*lnd* accepts packets after the stop",
    ),
    Difference(
        promise="18",
        lnd="`start` after `stop` says nothing.",
        why="`Start` (180) has happened once, or happens now.",
        demonstration="test_start_after_stop_says_nothing",
        tests="test_eight_threads_may_start_and_stop_at_once",
    ),
    Difference(
        promise="18",
        lnd="A reset before `start` waits for it.",
        why="Only a courier can answer (226).",
        demonstration="test_a_reset_before_start_hangs",
        tests="test_before_the_start_acks_and_resets_work",
    ),
    Difference(
        promise="19",
        lnd="A mailbox has two goroutines, whether or not there is something to do.",
        why="`Start` (181) starts them.",
        demonstration="test_an_idle_mailbox_has_two_threads",
        guarantee="*lnd* has two goroutines for every channel",
    ),
    Difference(
        promise="19",
        lnd="A mailbox that nobody references lives on.",
        why="Its goroutines (181) reference it.",
        demonstration="test_a_mailbox_lives_on_through_its_couriers",
        tests="""
            test_a_mailbox_that_nobody_references_is_collected
            test_a_mailbox_does_not_live_on_through_its_last_errand
        """,
    ),
    Difference(
        promise="6, 10",
        lnd="There are no batches: `add_packets` adds up to the first packet that is refused.",
        why="`AddPacket` (567) takes one.",
        demonstration="test_packets_are_added_one_by_one",
        tests="""
            test_nothing_is_added_if_the_iterable_raises
            test_one_bad_packet_keeps_all_of_them_out
            test_the_iterables_may_use_the_mailbox
        """,
    ),
    Difference(
        promise="3",
        lnd="There is no `nack_packet`: a delivered packet comes again with all others.",
        why="The interface (30) has `ResetPackets` only.",
        demonstration="test_a_delivered_packet_can_not_be_given_back",
        tests="""
            test_a_packet_that_is_given_back_takes_its_old_place
            test_only_what_is_delivered_can_be_given_back
            test_a_packet_can_be_given_back_as_often_as_it_is_delivered
            test_what_was_given_back_and_acked_is_gone
            test_the_reply_is_given_back_first_and_then_the_add
            test_a_receiver_is_woken_by_what_is_given_back
            test_a_reset_takes_in_what_was_given_back
            test_an_add_that_is_given_back_keeps_its_deadline[nack_packet]
            test_a_mailbox_knows_a_packet_by_the_key_it_was_added_under
            test_statistics_count_what_is_unacked_and_where_it_is
            test_whatever_threads_do_each_add_ends_once
        """,
    ),
    Difference(
        promise="9",
        lnd="Any number of wire messages may wait, of any size.",
        why="`AddMessage` (549) appends what it is given.",
        demonstration="test_any_number_of_messages_may_wait",
        tests="""
            test_a_mailbox_takes_1000_messages_and_4_mib_by_default
            test_so_many_messages_may_wait_and_no_more
            test_so_many_bytes_may_wait_and_no_more
            test_after_a_refusal_everything_is_refused_until_the_reset
            test_a_mailbox_may_accept_again_what_there_is_room_for
            test_a_reset_frees_the_budget
            test_a_message_without_a_size_is_a_mistake_if_there_is_a_budget_of_bytes
            test_a_message_is_measured_with_no_lock_held
        """,
        guarantee="*lnd* has no budget",
    ),
    Difference(
        promise="27",
        lnd="Nothing is counted but what is queued and how many Adds were failed.",
        why="The interface (30) has nothing to ask for.",
        demonstration="test_few_things_are_counted",
        tests="""
            test_an_ack_counts_wherever_the_packet_is
            test_an_add_past_its_deadline_is_overdue_by_the_clock
            test_an_add_that_can_not_be_failed_is_overdue
            test_the_age_is_that_of_the_oldest_unacked_packet
            test_what_was_refused_is_counted
            test_those_who_wait_are_counted
        """,
    ),
    Difference(
        promise="3",
        lnd="An outbox tells of one item at most, however many wait behind it.",
        why="It is a channel without a buffer, on which a courier offers one item (453, 507).",
        demonstration="test_an_outbox_tells_of_one_item_at_most",
        tests="test_an_outbox_tells_its_size",
    ),
    Difference(
        promise="22",
        lnd="A mailbox that was made while its channel was pending asks for the update of 0:0:0.",
        why="`FailAdd` asks for `cfg.shortChanID` (635), and nothing changes that.",
        demonstration="test_a_pending_channels_mailbox_asks_for_the_update_of_zero",
        tests="test_the_update_is_that_of_the_mailbox_and_fetched_each_time",
        guarantee="*lnd*'s keeps the id 0:0:0 for good",
    ),
    Difference(
        promise="21",
        lnd="What is delivered while a channel is bound overtakes what was parked for it.",
        why="The channel is live (828) before the parked packets are added (836), unlocked.",
        demonstration="test_parked_packets_are_overtaken",
        guarantee="*lnd* lets go of its lock before it hands the parked packets over",
    ),
    Difference(
        promise="21",
        lnd="What is parked is not looked at, and what the mailbox refuses then is dropped.",
        why="The error of `AddPacket` (837) is ignored.",
        demonstration="test_parked_packets_that_are_refused_are_dropped",
        guarantee="*lnd* lets go of its lock before it hands the parked packets over",
    ),
    Difference(
        promise="21",
        lnd="Any number of packets is parked, for as long as the node runs.",
        why="`Deliver` (900) appends each to its list, and only a binding (832) empties that.",
        demonstration="test_any_number_of_packets_is_parked",
        guarantee="*lnd* has neither a cap nor an expiry for them",
    ),
    Difference(
        promise="20",
        lnd="A channel's mailbox is kept for as long as the node runs, though it is stopped.",
        why="Nothing is ever removed from `mailboxes` (716).",
        demonstration="test_a_stopped_mailbox_stays_the_channels",
        guarantee="*lnd* keeps a mailbox for as long as the node runs",
    ),
    Difference(
        promise="23",
        lnd="After the stop it makes running mailboxes, and delivers to them.",
        why="`Stop` (765) leaves no trace in the orchestrator.",
        demonstration="test_a_stopped_orchestrator_makes_running_mailboxes",
        guarantee="*lnd* walks through its mailboxes without the lock",
    ),
    Difference(
        promise="23",
        lnd="One busy mailbox keeps the others running while all are stopped.",
        why="`Stop` (766) waits for each before it tells the next.",
        demonstration="test_mailboxes_are_stopped_one_by_one",
    ),
    Difference(
        promise="26",
        lnd="A tick of its test clock can be lost on the way to a timer.",
        why="`deadline` (341) reads the clock, `TickAfter` reads it again.",
        demonstration="test_a_tick_between_two_looks_at_the_clock_is_lost",
        guarantee="*lnd*'s test clock is read twice",
    ),
]


def listed(test: str) -> Difference | None:
    """Return the row that lists the conformance test of this name, parameters included."""
    function = test.partition("[")[0]
    for row in DIFFERENCES:
        for entry in row.tests:
            if test.startswith(entry) if "[" in entry else function == entry:
                return row
    return None
