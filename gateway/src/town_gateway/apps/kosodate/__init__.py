"""子育てアプリ — for families: sign in, my applications with next step and expected date, timeline, inbox.

The app holds no data of its own: each answer is put together from what `identity`, `procedures` and `notifications`
answer to the resident's own token, so that their row security and their audit stand behind every line.
"""
