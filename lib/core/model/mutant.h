// Faults that the tests plant in the core to prove that the checkers see them (protocol.md section 20).
// Without -DVSYNC_MUTANTS=ON every query is the constant false and costs nothing.
#pragma once

#include <string_view>

namespace vsync::core {

// X(name, "rule: what is broken")
#define VSYNC_MUTANT_LIST(X)                                                                           \
  X(promise_no_wedge, "V4: a member promises but goes on as before")                                   \
  X(ack_after_wedge, "V4: a wedged member still accepts DATA and acknowledges it")                     \
  X(fifo_after_wedge, "V4: a wedged member still delivers fifo messages on receipt")                   \
  X(total_after_wedge, "V4: a wedged member processes ACKs and delivers totals (sent check off)")      \
  X(send_while_wedged, "R1: a wedged member still multicasts in the old view")                         \
  X(unwedge, "V4: a wedged member falls back to MEMBER when nothing happens")                          \
  X(min_cut, "V6: cut = minimum instead of maximum over the survivors")                                \
  X(survivor_no_promise, "V6: a live member that did not promise this ballot is named survivor")       \
  X(accept_early, "V7: ACCEPT is sent before every survivor reported HAVE_ALL")                        \
  X(holder_death_ignored, "V7: when a holder dies while forwarding, its receivers count as complete")  \
  X(forward_unchecked, "V7: forwarded messages are appended without ballot and sequence check")        \
  X(free_on_delivery, "R6: a fifo message is freed when delivered instead of when stable")             \
  X(no_adopt, "V6: an accepted value seen in a promise is not adopted")                                \
  X(mix_ballots, "V5: promises of an older ballot are counted")                                        \
  X(no_persist, "P1: an acceptor forgets promise and accepted value at restart")                       \
  X(no_quorum, "Q1: one voter is a quorum")                                                            \
  X(tie_any, "Q1: exactly half of the voters is a quorum without the tie-break node")                  \
  X(voter_growth, "J4: more joiners than staying survivors become voters in one change")               \
  X(total_majority, "R5: total delivered when a majority has acknowledged")                            \
  X(total_no_key, "R5: total delivered when stable, not in (ts, rank) order")                          \
  X(total_no_sent_check, "R5: relayed acknowledgement used although the member's own DATA is missing") \
  X(total_no_barrier, "R5: total does not wait for unstable fifo/causal messages of smaller key")      \
  X(fifo_overtakes, "R3: fifo delivered although an earlier total of the same sender is not")          \
  X(causal_as_fifo, "R4: causal dependencies ignored")                                                 \
  X(no_trim, "V10: flush delivery ignores dependencies that are lost")                                 \
  X(no_self_ack, "R2: DATA does not count as its sender's own acknowledgement")                        \
  X(stale_view_data, "R2: DATA of an older view is accepted")                                          \
  X(queue_lost, "V11: messages queued while wedged are dropped at install")                            \
  X(joiner_no_table, "J6: joiner installs without the state table")                                    \
  X(joiner_leads, "V6: joiners are placed before the survivors")                                       \
  X(join_no_history, "J3: a joiner named in an earlier view is admitted again, same incarnation")      \
  X(same_incarnation, "I2: an excluded process returns with its old incarnation")                      \
  X(fate_raw_cut, "C3: excluded sender reports DELIVERED up to the untrimmed cut")                     \
  X(group_flush_skipped, "G4: a group view is installed without waiting for GFLUSHED")                 \
  X(group_send_while_flushing, "G4: messages are bound while the group is flushing")                   \
  X(ghost_member, "G2: clients of an excluded daemon stay in their groups")                            \
  X(token_not_increasing, "C4: the token restarts with every view")                                    \
  X(hold_ignored, "G10: a daemon sends to a group that is held")                                       \
  X(hold_of_the_dead, "G10: the leave of a client waits for the group that it holds")                  \
  X(dead_wait_for_holders, "G10: a client that is gone waits for the groups that others hold")         \
  X(hold_outlives_member, "G10: a group stays held for a member that is gone")                         \
  X(hold_lost_at_join, "G10: a joiner is not told which groups are held")                              \
  X(release_ignored, "G10: a member that reads again does not release its group")                      \
  X(fragments_survive, "V11: partial fragments are kept across a view change")                         \
  X(alone_for_ever, "B2: a member without quorum does not look for those who went on without it")      \
  X(large_goes_on, "V11: a large message goes on in the next view where it stopped in the old one")    \
  X(resume_from_zero, "R9: LINKUP re-sends from the wrong place")                                      \
  X(persist_barrier, "P1: PROMISE leaves before the promise is durable")                               \
  X(prevote_always, "V2: every member says yes to every pre-vote")                                     \
  X(no_clique, "V6: survivors that cannot reach each other stay together")                             \
  X(witness_no_vote, "B4: a witness is named and given no vote")                                       \
  X(witness_for_ever, "B4: a witness that is gone stays a voter")                                      \
  X(witness_silent, "B4: a witness promises without telling what it has accepted")                     \
  X(flaps_ignored, "section 9, LINK: a connection that breaks all the time counts as a connection")    \
  X(in_view_ignored, "C2: a send bound to a group view is delivered in a later one")                   \
  X(cold_anytime, "B2: a cold view is decided although holders are alive")                             \
  X(lease_no_wait, "F10: a new leader's lease begins while the old one's may go on")                   \
  X(lease_leaver_trusted, "F10: who left with its daemon is taken to have given up its lease")         \
  X(lease_joiner_trusts, "F10: a joiner gives leases at once, though leaders before it are unknown")   \
  X(lease_no_quorum, "F10: the own word is enough for a lease")                                        \
  X(lease_from_answer, "F10: a lease counts from the answer to a heartbeat, not from its sending")     \
  X(lease_by_wedged, "F10: members that have promised away the view still back its leases")            \
  X(lease_by_witness, "F10, B4: a witness backs leases of a view that it has promised away")           \
  X(relay_forges, "section 13: the leader aggregates statements that were never made")                 \
  X(several_groups_apart, "G6: a message for several groups is delivered in those that are left")      \
  X(direct_to_all, "G7: a message for one member is handed to all")                                    \
  X(request_counts_leavers, "G8: a request goes on waiting for members that left")                     \
  X(early_reply_lost, "G8: a reply that overtakes the request is lost")                                \
  X(stable_on_delivery, "G9: what is delivered is told to be stable")                                  \
  X(state_donor_without, "T1: a member without the state is taken for a donor")                        \
  X(state_overtaken, "T1: messages do not wait for the state")                                         \
  X(state_repeated, "T1: pieces that are sent again after a link broke are taken twice")               \
  X(state_forgets_messages, "T1: what waited behind the state is dropped")                             \
  X(state_claimed, "T2: a joiner with a part of the state claims to have it")                          \
  X(session_in_two_places, "C6: a session goes on while its last connection may still deliver")        \
  X(session_not_kept, "C6: what a session delivered is not kept")                                      \
  X(durable_before_sync, "K2: a disk claims to have what it is still writing")                         \
  X(durable_on_few, "K2: one disk fewer than a majority makes a message durable")                      \
  X(history_first_offer, "K3: recovery from the first disk that is offered")                           \
  X(history_few_disks, "K3: recovery from one disk fewer than a majority")                             \
  X(history_blank_counts, "K3: a disk that was lost counts as one that tells")                         \
  X(history_no_era, "K1: the era stays the same after a recovery")                                     \
  X(history_era_restarts, "K1: eras begin again in a cluster that was founded anew")                   \
  X(history_unpromised, "K1: an era begins that no majority has promised")                             \
  X(history_promise_ignored, "K1: an era begins that is smaller than one that was promised")           \
  X(history_forgotten, "K3: where a group is kept is forgotten with its last member")                  \
  X(history_unasked, "K3: a group begins although a disk in the view has it")                          \
  X(history_strangers, "K3: a member on a node that does not keep the group gets its state")           \
  X(history_waiting_decide, "K3: who waits with nothing says how many disks a group has that is kept") \
  X(history_empty_donor, "K3: a member has the state although its disk did not give it")

enum class Mutant {
  none,
#define VSYNC_MUTANT_ENUM(name, text) name,
  VSYNC_MUTANT_LIST(VSYNC_MUTANT_ENUM)
#undef VSYNC_MUTANT_ENUM
};

#ifdef VSYNC_MUTANTS
inline Mutant active_mutant = Mutant::none;  ///< set once by the test program
[[nodiscard]] inline bool mutant(Mutant m) {
  return active_mutant == m;
}
#else
[[nodiscard]] constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace vsync::core
